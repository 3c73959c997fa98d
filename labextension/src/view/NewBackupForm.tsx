import * as React from 'react';

import { BACKUP_TYPES, BackupType } from '../model/backups';
import type { FormProps } from '../widgets/formdialog';
import { typeName } from './backupwords';
import { Choice } from './Choice';
import { useDesk } from './desk';

export interface BackupWish {
  readonly type: BackupType;
  /** Whether there is one that it can continue. */
  readonly first: boolean;
}

/** How much a backup holds. */
export function NewBackupForm(
  props: FormProps<BackupWish>
): React.ReactElement {
  const { values, problems, busy, change } = props;
  const { trans } = useDesk();
  const hints: Record<BackupType, string> = {
    full: trans.__('All of it: depends on no other, and takes the most room.'),
    incremental: trans.__('What changed since the last one, of any type.'),
    differential: trans.__('What changed since the last full one.')
  };
  return (
    <div className="jx-BackupForm">
      <Choice
        label={trans.__('Type')}
        value={values.type}
        options={BACKUP_TYPES.map(type => [type, typeName(trans, type)])}
        hint={
          values.first
            ? trans.__('The first one is full: there is none to continue.')
            : hints[values.type]
        }
        problem={problems['type']}
        disabled={busy || values.first}
        onChange={type => change({ type: type as BackupType })}
      />
    </div>
  );
}
