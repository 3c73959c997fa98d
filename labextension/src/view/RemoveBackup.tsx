import * as React from 'react';

import type { Backup } from '../model/backups';
import { bytes } from '../model/format';
import type { FormProps } from '../widgets/formdialog';
import { useDesk } from './desk';

export interface RemoveBackupWish {
  readonly backup: Backup;
  /** How many others can't be restored without it. */
  readonly dependants: number;
}

/** What is lost with a backup, and what is in the way. */
export function RemoveBackup(
  props: FormProps<RemoveBackupWish>
): React.ReactElement {
  const { backup, dependants } = props.values;
  const { trans } = useDesk();
  const refusal = props.problems[''];
  return (
    <div className="jx-Remove">
      <p>
        {trans.__(
          'This frees %1, and the WAL that no other backup needs: moments that it alone reaches can’t be restored any more.',
          bytes(backup.size_bytes)
        )}
      </p>
      {dependants > 0 && (
        <p>
          {trans._n(
            '%1 later backup continues it: delete that one first.',
            '%1 later backups continue it: delete those first.',
            dependants
          )}
        </p>
      )}
      {refusal && (
        <div className="jx-Failure" role="alert">
          {refusal}
        </div>
      )}
    </div>
  );
}
