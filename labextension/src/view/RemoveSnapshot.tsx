import * as React from 'react';

import { bytes } from '../model/format';
import { restorable, Snapshot } from '../model/snapshots';
import type { FormProps } from '../widgets/formdialog';
import { useDesk } from './desk';
import { PartChips } from './PartChips';

export interface RemoveSnapshotWish {
  readonly snapshot: Snapshot;
}

/** What is lost with a snapshot, and what that may free. */
export function RemoveSnapshot(
  props: FormProps<RemoveSnapshotWish>
): React.ReactElement {
  const { snapshot } = props.values;
  const { trans } = useDesk();
  const parts = restorable(snapshot);
  const refusal = props.problems[''];
  return (
    <div className="jx-Remove jx-RemoveSnapshot">
      {parts.length > 0 ? (
        <>
          <p>{trans.__('This can’t be restored from it any more:')}</p>
          <PartChips parts={parts} />
        </>
      ) : (
        <p>{trans.__('Nothing in it can be restored any more.')}</p>
      )}
      <p>
        {snapshot.stored_bytes > 0
          ? trans.__(
              'It took up %1 itself. About that is freed: files that other snapshots share, and images that containers are based on, stay.',
              bytes(snapshot.stored_bytes)
            )
          : trans.__(
              'It took up no room itself: the backups that its databases come back from stay.'
            )}
      </p>
      {refusal && (
        <div className="jx-Failure" role="alert">
          {refusal}
        </div>
      )}
    </div>
  );
}
