import * as React from 'react';

import { LOCAL_DEVICE } from '../model/devices';
import { useDesk, useStore } from './desk';
import { GpuRow } from './GpuRow';
import { List } from './List';

/** The GPUs, and how many wait for one. */
export function GpuList(): React.ReactElement {
  const { trans } = useDesk();
  const gpus = useStore(state => state.gpus);
  const waiting = useStore(state => state.waiting);
  const [focused, setFocused] = React.useState<number | null>(null);

  const reached = gpus.some(({ gid }) => gid === focused)
    ? focused
    : (gpus[0]?.gid ?? null);
  // There is always this machine, with GPUs or without.
  const several = gpus.some(({ device }) => device !== LOCAL_DEVICE);
  return (
    <div className="jx-Section">
      {waiting > 0 && (
        <div className="jx-Waiting" role="status">
          {trans._n('%1 waits for a GPU.', '%1 wait for GPUs.', waiting)}
        </div>
      )}
      <List
        label={trans.__('GPUs')}
        onFocusRow={row => setFocused(Number(row.dataset['gid']))}
      >
        {gpus.map(gpu => (
          <GpuRow
            key={gpu.gid}
            gpu={gpu}
            named={several}
            current={gpu.gid === reached}
          />
        ))}
      </List>
    </div>
  );
}
