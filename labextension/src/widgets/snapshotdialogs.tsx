import { Notification } from '@jupyterlab/apputils';

import { bytes } from '../model/format';
import {
  DeletedSnapshot,
  GROUPS,
  restorable,
  RestoredSnapshot,
  Snapshot,
  toNewSnapshot
} from '../model/snapshots';
import type { Begun } from '../model/snapshotstore';
import type { Desk } from '../view/desk';
import { NewSnapshotForm, SnapshotWish } from '../view/NewSnapshotForm';
import { RemoveSnapshot, RemoveSnapshotWish } from '../view/RemoveSnapshot';
import {
  RestoreSnapshot,
  RestoreSnapshotWish,
  takesAll
} from '../view/RestoreSnapshot';
import { askForm } from './formdialog';
import { showProgress } from './progressdialog';

/** Ask what a snapshot shall be called and hold, and take it. */
export async function createSnapshot(desk: Desk): Promise<void> {
  const { snapshots, trans } = desk;
  const begun = await askForm<SnapshotWish, Begun<Snapshot>>(desk, {
    title: trans.__('Take a snapshot'),
    accept: trans.__('Take it'),
    values: { name: '', description: '', groups: GROUPS },
    form: NewSnapshotForm,
    fields: ['name', 'description', 'parts'],
    check: ({ name, groups }) => ({
      ...(!name.trim() && { name: trans.__('A name is needed.') }),
      ...(!groups.length && { parts: trans.__('Choose one at least.') })
    }),
    send: wish => snapshots.create(toNewSnapshot(wish))
  });
  if (begun?.operation) {
    await showProgress(desk, begun.operation);
  }
}

/** Show what a restore would replace, do it once that is agreed to, and tell what was kept. */
export async function restoreSnapshot(
  desk: Desk,
  snapshot: Snapshot
): Promise<void> {
  const { snapshots, trans } = desk;
  const word = trans.__('restore');
  const begun = await askForm<RestoreSnapshotWish, Begun<RestoredSnapshot>>(
    desk,
    {
      title: trans.__('Restore the snapshot “%1”', snapshot.name),
      accept: trans.__('Restore'),
      warn: true,
      values: {
        snapshot,
        chosen: restorable(snapshot).map(({ name }) => name),
        agreed: false,
        typed: ''
      },
      form: RestoreSnapshot,
      fields: ['parts', 'agreed'],
      check: wish => {
        const agreed = takesAll(wish)
          ? wish.typed.trim().toLowerCase() === word
          : wish.agreed;
        return {
          ...(!wish.chosen.length && {
            parts: trans.__('Choose what goes back.')
          }),
          ...(!agreed && {
            agreed: takesAll(wish)
              ? trans.__('Type %1.', word)
              : trans.__('This has to be agreed to.')
          })
        };
      },
      send: ({ chosen }) => snapshots.restore(snapshot.name, chosen)
    }
  );
  if (!begun) {
    return;
  }
  const restored = await endOf(desk, begun);
  // Also of one that failed, what was there before may be kept.
  void snapshots.refresh().catch(() => undefined);
  if (restored) {
    const kept = Object.values(restored.kept_databases).join(', ');
    Notification.success(
      [
        trans.__('%1: restored.', restored.parts.join(', ')),
        trans.__('What was there before is the snapshot “%1”.', restored.kept),
        kept && trans.__('Databases that stay: %1', kept)
      ]
        .filter(Boolean)
        .join(' '),
      { autoClose: false }
    );
  }
}

/** Say what is lost, delete a snapshot, and tell what that freed. */
export async function removeSnapshot(
  desk: Desk,
  snapshot: Snapshot
): Promise<void> {
  const { snapshots, trans } = desk;
  const begun = await askForm<RemoveSnapshotWish, Begun<DeletedSnapshot>>(
    desk,
    {
      title: trans.__('Delete the snapshot “%1”?', snapshot.name),
      accept: trans.__('Delete'),
      warn: true,
      values: { snapshot },
      form: RemoveSnapshot,
      fields: [''],
      send: () => snapshots.remove(snapshot.name)
    }
  );
  const deleted = begun && (await endOf(desk, begun));
  if (deleted) {
    const left = deleted.left.join(', ');
    Notification.success(
      [
        trans.__(
          '“%1” is deleted: %2 freed.',
          snapshot.name,
          bytes(deleted.freed_bytes)
        ),
        left && trans.__('Images that stay: %1', left)
      ]
        .filter(Boolean)
        .join(' '),
      { autoClose: 10_000 }
    );
  }
}

/** Show work until it has ended, behind the scenes too; null where it brought nothing about. */
async function endOf<T>(desk: Desk, begun: Begun<T>): Promise<T | null> {
  const { operation, result } = begun;
  if (!operation) {
    return result;
  }
  await showProgress(desk, operation);
  const ended = await desk.store.ended(operation.id);
  return ended.state === 'succeeded'
    ? ((ended.result as T | undefined) ?? null)
    : null;
}
