import * as React from 'react';

import { useDesk } from './desk';
import { Field } from './Field';

/** The name of an image to be pulled. */
export function PullForm(props: {
  value: string;
  problem: string | undefined;
  busy: boolean;
  onChange: (value: string) => void;
}): React.ReactElement {
  const { trans } = useDesk();
  return (
    <div className="jx-PullForm">
      <Field
        label={trans.__('Image')}
        value={props.value}
        problem={props.problem}
        hint={trans.__(
          'Name and tag as at a registry, like nginx:latest or registry:5000/team/tool:1.2'
        )}
        onChange={props.onChange}
        input={{
          spellCheck: false,
          autoFocus: true,
          disabled: props.busy,
          placeholder: 'nginx:latest'
        }}
      />
    </div>
  );
}
