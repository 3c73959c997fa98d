import { historyIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { Backup, earliest, lanesOf } from '../model/backups';
import { CommandIDs } from '../tokens';
import { BackupRow } from './BackupRow';
import { useCommand, useDesk, useListed } from './desk';
import { ItemList } from './ItemList';
import { ListFrame } from './ListFrame';
import { useNow } from './now';
import { useOperationRows } from './OperationRow';
import { TimeLine } from './TimeLine';

/** The moments to which databases can go back, and the backups from which they can. */
export function BackupList(): React.ReactElement {
  const { backups, trans } = useDesk();
  const run = useCommand();
  const { items } = useListed(backups);
  const operations = useOperationRows(/^backup\./);
  const now = useNow(10_000);
  const all = React.useMemo(() => newestFirst(items?.values() ?? []), [items]);
  return (
    <ListFrame
      store={backups}
      icon={historyIcon}
      nothing={
        !all.length && !operations.length
          ? {
              title: trans.__('No backups yet'),
              text: trans.__(
                'From the first one on, your databases can go back to any moment: a dropped table comes back as it was a second before.'
              ),
              accept: trans.__('Back up now'),
              command: CommandIDs.createBackup
            }
          : null
      }
    >
      {all.length > 0 && (
        <TimeLine
          lanes={lanesOf(all, now)}
          now={now}
          onPick={({ timeline, moment }) =>
            run(CommandIDs.restoreBackup, { timeline, moment })
          }
          onBackup={backup =>
            run(CommandIDs.restoreBackup, {
              timeline: backup.timeline,
              moment: earliest(backup)
            })
          }
        />
      )}
      <ItemList
        label={trans.__('Backups')}
        of="backup"
        items={all}
        keyOf={({ id }) => id}
        above={operations}
        onDelete={({ id }) => run(CommandIDs.removeBackup, { id })}
      >
        {(backup, current) => (
          <BackupRow backup={backup} now={now} current={current} />
        )}
      </ItemList>
    </ListFrame>
  );
}

function newestFirst(backups: Iterable<Backup>): readonly Backup[] {
  return [...backups].sort(
    (a, b) => Date.parse(b.created_at) - Date.parse(a.created_at)
  );
}
