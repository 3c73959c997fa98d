import { historyIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { Backup, earliest, lanesOf } from '../model/backups';
import { CommandIDs } from '../tokens';
import { BackupRow } from './BackupRow';
import { LostBanner } from './Banner';
import { useBackups, useCommand, useDesk, useStore } from './desk';
import { List } from './List';
import { Notice } from './Notice';
import { useNow } from './now';
import { OperationRow } from './OperationRow';
import { TimeLine } from './TimeLine';

/** The moments to which databases can go back, and the backups from which they can. */
export function BackupList(): React.ReactElement {
  const { backups, trans } = useDesk();
  const run = useCommand();
  const { items, refusal } = useBackups();
  const current = useStore(state => state.current);
  const now = useNow(10_000);
  const [focused, setFocused] = React.useState<string | null>(null);
  const operations = current.filter(({ kind }) => kind.startsWith('backup.'));
  const all = React.useMemo(() => newestFirst(items?.values() ?? []), [items]);
  if (refusal) {
    return (
      <Notice icon={historyIcon} title={refusal.what} text={refusal.cure}>
        <button
          type="button"
          className="jp-mod-styled jp-mod-reject jx-Button"
          onClick={() => backups.retry()}
        >
          {trans.__('Try again')}
        </button>
      </Notice>
    );
  }
  if (!items) {
    return (
      <>
        <LostBanner />
        <div className="jx-Loading">{trans.__('Loading…')}</div>
      </>
    );
  }
  const reached = items.has(focused ?? '') ? focused : (all[0]?.id ?? null);
  return (
    <div className="jx-Section">
      <LostBanner />
      {!all.length && !operations.length && (
        <Notice
          icon={historyIcon}
          title={trans.__('No backups yet')}
          text={trans.__(
            'From the first one on, your databases can go back to any moment: a dropped table comes back as it was a second before.'
          )}
        >
          <button
            type="button"
            className="jp-mod-styled jp-mod-accept jx-Button"
            onClick={() => run(CommandIDs.createBackup)}
          >
            {trans.__('Back up now')}
          </button>
        </Notice>
      )}
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
      <List
        label={trans.__('Backups')}
        onFocusRow={row => setFocused(row.dataset['backup'] ?? null)}
        onKey={(key, row) => {
          const id = row.dataset['backup'];
          if (key === 'Delete' && id !== undefined) {
            run(CommandIDs.removeBackup, { id });
          }
        }}
      >
        {operations.map(operation => (
          <OperationRow key={operation.id} operation={operation} />
        ))}
        {all.map(backup => (
          <BackupRow
            key={backup.id}
            backup={backup}
            now={now}
            current={backup.id === reached}
          />
        ))}
      </List>
    </div>
  );
}

function newestFirst(backups: Iterable<Backup>): readonly Backup[] {
  return [...backups].sort(
    (a, b) => Date.parse(b.created_at) - Date.parse(a.created_at)
  );
}
