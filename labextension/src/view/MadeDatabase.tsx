import * as React from 'react';

import { copyText } from '../clipboard';
import { wordsOf } from '../model/reply';
import { useDesk } from './desk';
import { Problem } from './Field';

/** A database just made, and how to get into it. */
export function MadeDatabase(props: { name: string }): React.ReactElement {
  const { name } = props;
  const { databases, trans } = useDesk();
  const [copied, setCopied] = React.useState(false);
  const [problem, setProblem] = React.useState<string>();
  const copy = async () => {
    setProblem(undefined);
    try {
      copyText(await databases.connectionUrl(name));
      setCopied(true);
    } catch (reason) {
      setProblem(wordsOf(reason, trans.__('The server does not answer.')));
    }
  };
  return (
    <div className="jx-DialogForm jx-DatabaseForm">
      <div>
        {trans.__(
          'Programs get into it by its connection URL. The password is in that: share it with nobody.'
        )}
      </div>
      <button
        type="button"
        className="jp-mod-styled jp-mod-reject jx-Button jx-MadeDatabase-copy"
        onClick={() => void copy()}
      >
        {copied ? trans.__('Copied') : trans.__('Copy connection URL')}
      </button>
      <Problem text={problem} />
    </div>
  );
}
