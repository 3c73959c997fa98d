import * as React from 'react';

import { CommandIDs } from '../tokens';
import { useCommand, useDesk, useDevices } from './desk';
import { DeviceRow } from './DeviceRow';
import { List } from './List';
import { useNow } from './now';

/** The hosts with an engine, this machine's own first. */
export function DeviceList(): React.ReactElement {
  const { trans } = useDesk();
  const run = useCommand();
  const devices = useDevices();
  const now = useNow();
  const [focused, setFocused] = React.useState<number | null>(null);
  if (!devices) {
    return <div className="jx-Loading">{trans.__('Loading…')}</div>;
  }
  const all = [...devices.values()].sort((a, b) => a.did - b.did);
  const reached = all.some(({ did }) => did === focused)
    ? focused
    : (all[0]?.did ?? null);
  return (
    <div className="jx-Section">
      <List
        label={trans.__('Devices')}
        onFocusRow={row => setFocused(Number(row.dataset['device']))}
        onKey={(key, row) => {
          const did = Number(row.dataset['device']);
          if (key === 'Delete' && did) {
            run(CommandIDs.removeDevice, { did });
          }
        }}
      >
        {all.map(device => (
          <DeviceRow
            key={device.did}
            device={device}
            now={now}
            current={device.did === reached}
          />
        ))}
      </List>
    </div>
  );
}
