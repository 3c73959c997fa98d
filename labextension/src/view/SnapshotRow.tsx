import { ellipsesIcon, historyIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { bytes, moment } from '../model/format';
import type { Snapshot } from '../model/snapshots';
import { CommandIDs } from '../tokens';
import { useCommand, useDesk } from './desk';
import { IconButton } from './IconButton';
import { PartChips } from './PartChips';

/** One snapshot: what it is called, when it was taken, how large it is, and what it holds. */
export const SnapshotRow = React.memo(function SnapshotRow(props: {
  snapshot: Snapshot;
  current: boolean;
}): React.ReactElement {
  const { snapshot, current } = props;
  const { name, description, parts, size_bytes, stored_bytes } = snapshot;
  const { trans, language, openMenu } = useDesk();
  const run = useCommand();
  return (
    <li
      className="jx-Row jx-Snapshot"
      data-snapshot={name}
      tabIndex={current ? 0 : -1}
      aria-label={name}
    >
      <div className="jx-Row-head">
        <span className="jx-Title jx-mod-strong" title={name}>
          {name}
        </span>
        <span className="jx-Row-actions">
          <IconButton
            icon={historyIcon}
            label={trans.__('Restore %1', name)}
            onClick={() => run(CommandIDs.restoreSnapshot, { name })}
          />
          <IconButton
            icon={ellipsesIcon}
            label={trans.__('More for %1', name)}
            hasMenu
            onClick={openMenu}
          />
        </span>
      </div>
      <div className="jx-Row-line">
        <span
          className="jx-Row-minor"
          title={[
            description,
            trans.__(
              'A restore brings back %1; the snapshot took up %2 itself',
              bytes(size_bytes),
              bytes(stored_bytes)
            )
          ]
            .filter(Boolean)
            .join('\n')}
        >
          {[
            moment(snapshot.created_at, language),
            bytes(size_bytes),
            description
          ]
            .filter(Boolean)
            .join(' · ')}
        </span>
      </div>
      <div className="jx-Row-line">
        <PartChips parts={parts} />
      </div>
    </li>
  );
});
