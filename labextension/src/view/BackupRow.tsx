import { ellipsesIcon, historyIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import type { Backup } from '../model/backups';
import { bytes, moment } from '../model/format';
import { CommandIDs } from '../tokens';
import { testedWords, typeName } from './backupwords';
import { useCommand, useDesk } from './desk';
import { IconButton } from './IconButton';

/** One backup: when, of which type, how large, and whether it was tested. */
export const BackupRow = React.memo(function BackupRow(props: {
  backup: Backup;
  now: number;
  current: boolean;
}): React.ReactElement {
  const { backup, now, current } = props;
  const { id, type, size_bytes, databases, status } = backup;
  const { trans, language, openMenu } = useDesk();
  const run = useCommand();
  const taken = moment(backup.created_at, language);
  const facts = [
    id,
    databases.length
      ? trans.__('For %1', databases.join(', '))
      : trans.__('For no database'),
    ...(backup.files.length
      ? [trans.__('With the files %1', backup.files.join(', '))]
      : []),
    trans._n('It took %1 second', 'It took %1 seconds', backup.seconds)
  ];
  return (
    <li
      className="jx-Row jx-Backup"
      data-backup={id}
      tabIndex={current ? 0 : -1}
      aria-label={trans.__('Backup of %1', taken)}
      title={facts.join('\n')}
    >
      <div className="jx-Row-head">
        <span className="jx-Title">{taken}</span>
        <span className="jx-Row-actions">
          <IconButton
            icon={historyIcon}
            label={trans.__('Restore from the backup of %1', taken)}
            onClick={() => run(CommandIDs.restoreBackup, { id })}
          />
          <IconButton
            icon={ellipsesIcon}
            label={trans.__('More for the backup of %1', taken)}
            hasMenu
            onClick={openMenu}
          />
        </span>
      </div>
      <div className="jx-Row-line">
        <span className="jx-Chip" data-type={type}>
          {typeName(trans, type)}
        </span>
        {status === 'damaged' && (
          <span className="jx-Status jx-mod-bad">{trans.__('damaged')}</span>
        )}
        <span className="jx-Row-minor">
          {`${bytes(size_bytes)}, ${testedWords(trans, backup, language, now)}`}
        </span>
      </div>
    </li>
  );
});
