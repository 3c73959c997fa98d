import * as React from 'react';

import { BACKUP_TYPES, BackupType } from '../model/backups';
import type { FormProps } from '../widgets/formdialog';
import { typeName } from './backupwords';
import { Choice } from './Choice';
import { useDesk } from './desk';
import { Cell } from './Field';
import { Rows } from './Rows';

export interface BackupWish {
  readonly type: BackupType;
  /** Whether there is one that it can continue. */
  readonly first: boolean;
  readonly files: readonly FileRow[];
}

/** A path that is kept with a backup; `key` tells rows apart. */
export interface FileRow {
  readonly key: number;
  readonly path: string;
}

let made = 0;

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
      <Rows
        title={trans.__('Files')}
        add={trans.__('Add a file or folder')}
        hint={trans.__('Kept with it, and put back by a restore.')}
        rows={values.files}
        make={() => ({ key: ++made, path: '' })}
        problem={problems['files']}
        problemsOf={() => []}
        onChange={files => change({ files })}
      >
        {(row, set) => (
          <Cell
            className="jx-mod-wide"
            label={trans.__('Path in your notebook folder')}
            value={row.path}
            onChange={path => set({ path })}
            input={{
              spellCheck: false,
              disabled: busy,
              placeholder: trans.__('project/notes.ipynb')
            }}
          />
        )}
      </Rows>
    </div>
  );
}
