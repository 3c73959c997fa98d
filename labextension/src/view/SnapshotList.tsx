import * as React from 'react';

import { snapshotIcon } from '../icons';
import { CommandIDs } from '../tokens';
import { useCommand, useDesk, useListed } from './desk';
import { ItemList } from './ItemList';
import { ListFrame } from './ListFrame';
import { useOperationRows } from './OperationRow';
import { SnapshotRow } from './SnapshotRow';

/** The caller's snapshots, and those on their way. */
export function SnapshotList(): React.ReactElement {
  const { snapshots, trans } = useDesk();
  const run = useCommand();
  const { items } = useListed(snapshots);
  const operations = useOperationRows(/^snapshot\./);
  const all = [...(items?.values() ?? [])];
  return (
    <ListFrame
      store={snapshots}
      icon={snapshotIcon}
      nothing={
        !all.length && !operations.length
          ? {
              title: trans.__('No snapshots yet'),
              text: trans.__(
                'One name over your databases, notebook files and containers, as they are now: all of it, or parts, can go back to that.'
              ),
              accept: trans.__('Take a snapshot'),
              command: CommandIDs.createSnapshot
            }
          : null
      }
    >
      <ItemList
        label={trans.__('Snapshots')}
        of="snapshot"
        items={all}
        keyOf={({ name }) => name}
        above={operations}
        onDelete={({ name }) => run(CommandIDs.removeSnapshot, { name })}
      >
        {(snapshot, current) => (
          <SnapshotRow snapshot={snapshot} current={current} />
        )}
      </ItemList>
    </ListFrame>
  );
}
