import * as React from 'react';

import { CommandIDs } from '../tokens';
import { useCommand, useDesk, useListed } from './desk';
import { DeviceRow } from './DeviceRow';
import { ItemList } from './ItemList';
import { useNow } from './now';

/** The hosts with an engine, this machine's own first. */
export function DeviceList(): React.ReactElement {
  const { devices, trans } = useDesk();
  const run = useCommand();
  const { items } = useListed(devices);
  const now = useNow();
  if (!items) {
    return <div className="jx-Loading">{trans.__('Loading…')}</div>;
  }
  const all = [...items.values()].sort((a, b) => a.did - b.did);
  return (
    <div className="jx-Section">
      <ItemList
        label={trans.__('Devices')}
        of="device"
        items={all}
        keyOf={({ did }) => did}
        onDelete={({ did }) => run(CommandIDs.removeDevice, { did })}
      >
        {(device, current) => (
          <DeviceRow device={device} now={now} current={current} />
        )}
      </ItemList>
    </div>
  );
}
