import * as React from 'react';

import { snapshotIcon } from '../icons';
import { CommandIDs } from '../tokens';
import { LostBanner } from './Banner';
import { useCommand, useDesk, useSnapshots, useStore } from './desk';
import { List } from './List';
import { Notice } from './Notice';
import { OperationRow } from './OperationRow';
import { SnapshotRow } from './SnapshotRow';

/** The caller's snapshots, and those on their way. */
export function SnapshotList(): React.ReactElement {
  const { snapshots, trans } = useDesk();
  const run = useCommand();
  const { items, refusal } = useSnapshots();
  const current = useStore(state => state.current);
  const [focused, setFocused] = React.useState<string | null>(null);
  const operations = current.filter(({ kind }) => kind.startsWith('snapshot.'));
  if (refusal) {
    return (
      <Notice icon={snapshotIcon} title={refusal.what} text={refusal.cure}>
        <button
          type="button"
          className="jp-mod-styled jp-mod-reject jx-Button"
          onClick={() => snapshots.retry()}
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
  const all = [...items.values()];
  const reached = items.has(focused ?? '') ? focused : (all[0]?.name ?? null);
  return (
    <div className="jx-Section">
      <LostBanner />
      {!all.length && !operations.length && (
        <Notice
          icon={snapshotIcon}
          title={trans.__('No snapshots yet')}
          text={trans.__(
            'One name over your databases, notebook files and containers, as they are now: all of it, or parts, can go back to that.'
          )}
        >
          <button
            type="button"
            className="jp-mod-styled jp-mod-accept jx-Button"
            onClick={() => run(CommandIDs.createSnapshot)}
          >
            {trans.__('Take a snapshot')}
          </button>
        </Notice>
      )}
      <List
        label={trans.__('Snapshots')}
        onFocusRow={row => setFocused(row.dataset['snapshot'] ?? null)}
        onKey={(key, row) => {
          const name = row.dataset['snapshot'];
          if (key === 'Delete' && name !== undefined) {
            run(CommandIDs.removeSnapshot, { name });
          }
        }}
      >
        {operations.map(operation => (
          <OperationRow key={operation.id} operation={operation} />
        ))}
        {all.map(snapshot => (
          <SnapshotRow
            key={`snapshot:${snapshot.name}`}
            snapshot={snapshot}
            current={snapshot.name === reached}
          />
        ))}
      </List>
    </div>
  );
}
