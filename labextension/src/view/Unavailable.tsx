import { offlineBoltIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { useDesk, useStore } from './desk';
import { Notice } from './Notice';

/** Why there is nothing to show, and how to get it. */
export function Unavailable(): React.ReactElement {
  const { trans } = useDesk();
  const missing = useStore(state => state.missing);
  const connection = useStore(state => state.connection);
  const engine = useStore(state => state.engine);
  if (missing) {
    return (
      <Notice
        bad
        icon={offlineBoltIcon}
        title={trans.__('The server extension is not enabled')}
        text={trans.__(
          'Enable it and start JupyterLab again: `jupyter server extension enable jupyter_ext`'
        )}
      />
    );
  }
  if (connection === 'open' && engine?.available === false) {
    return (
      <Notice
        bad
        icon={offlineBoltIcon}
        title={engine.what || trans.__('No container engine')}
        text={engine.cure}
      />
    );
  }
  return (
    <div className="jx-Loading" role="status">
      {connection === 'lost'
        ? trans.__('The server does not answer. Connecting again…')
        : trans.__('Connecting…')}
    </div>
  );
}
