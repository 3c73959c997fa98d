import * as React from 'react';

import { useDesk } from './desk';

/** Whether a new container can be got into: asked only of images that listen. */
export function ConnectChoice(props: {
  checked: boolean;
  onChange: (checked: boolean) => void;
}): React.ReactElement {
  const { trans } = useDesk();
  const id = React.useId();
  return (
    <div className="jx-Field">
      <label className="jx-Check">
        <input
          type="checkbox"
          checked={props.checked}
          aria-describedby={id}
          onChange={event => props.onChange(event.target.checked)}
        />
        {trans.__('ssh, JupyterLab and TensorBoard')}
      </label>
      <div className="jx-Hint" id={id}>
        {trans.__(
          'Three free ports and a password. The container’s details show them.'
        )}
      </div>
    </div>
  );
}
