import * as React from 'react';

import { LOCAL_DEVICE } from '../model/devices';
import { Container, isReached } from '../model/types';
import { useDesk } from './desk';

/** That a container's device does not answer, what that means, and what to do. */
export function LostNotice(props: {
  container: Container;
}): React.ReactElement | null {
  const { container } = props;
  const { trans } = useDesk();
  return isReached(container) ? null : (
    <div className="jx-Lost" role="status">
      {container.device === LOCAL_DEVICE
        ? trans.__('The engine does not answer.')
        : trans.__('Device %1 does not answer.', container.device)}{' '}
      {trans.__(
        'It may still run there, so it keeps its name, ports and GPUs. It comes back with its device; ask the administrator if that takes long.'
      )}
    </div>
  );
}
