import * as React from 'react';

import { LOCAL_DEVICE } from '../model/devices';
import { useDesk, useStore } from './desk';
import { GpuRow } from './GpuRow';
import { ItemList } from './ItemList';

/** The GPUs, and how many wait for one. */
export function GpuList(): React.ReactElement {
  const { trans } = useDesk();
  const gpus = useStore(state => state.gpus);
  const waiting = useStore(state => state.waiting);

  // There is always this machine, with GPUs or without.
  const several = gpus.some(({ device }) => device !== LOCAL_DEVICE);
  return (
    <div className="jx-Section">
      {waiting > 0 && (
        <div className="jx-Waiting" role="status">
          {trans._n('%1 waits for a GPU.', '%1 wait for GPUs.', waiting)}
        </div>
      )}
      <ItemList
        label={trans.__('GPUs')}
        of="gid"
        items={gpus}
        keyOf={({ gid }) => gid}
      >
        {(gpu, current) => (
          <GpuRow gpu={gpu} named={several} current={current} />
        )}
      </ItemList>
    </div>
  );
}
