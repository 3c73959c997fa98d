import * as React from 'react';

import type { CreatedApiKey } from '../model/people';
import { CodeBlock } from './CodeBlock';
import { useDesk } from './desk';

/** A key just made: the only time that it is seen. */
export function NewKey(props: { made: CreatedApiKey }): React.ReactElement {
  const { made } = props;
  const { actions, trans } = useDesk();
  const url = actions.api.url('containers');
  return (
    <div className="jx-DialogForm jx-NewKey">
      <div className="jx-Banner" role="alert">
        {trans.__('Copy it now: you will not see it again.')}
      </div>
      <CodeBlock code={made.key} label={trans.__('Copy the key')} />
      <div className="jx-Hint">{trans.__('To try it in a terminal:')}</div>
      <CodeBlock
        code={`curl -H "X-API-Key: ${made.key}" ${url}`}
        label={trans.__('Copy the command')}
      />
    </div>
  );
}
