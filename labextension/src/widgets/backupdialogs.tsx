import { Dialog, Notification } from '@jupyterlab/apputils';
import * as React from 'react';

import type { Backup, Restore, SideCluster } from '../model/backups';
import { moment } from '../model/format';
import { hasEnded, Operation } from '../model/types';
import { Desk, DeskWidget } from '../view/desk';
import { LeftBeside } from '../view/LeftBeside';
import { BackupWish, NewBackupForm } from '../view/NewBackupForm';
import { RemoveBackup, RemoveBackupWish } from '../view/RemoveBackup';
import type { Picked } from '../view/TimeLine';
import { askForm } from './formdialog';
import { showProgress } from './progressdialog';
import { askRestore } from './restoredialog';

/** Work that was begun; null where it had ended already. */
interface Begun {
  readonly operation: Operation | null;
}

/** Ask how much a backup shall hold, and take it. */
export async function createBackup(desk: Desk): Promise<void> {
  const { backups, trans } = desk;
  const first = backups.state.items?.size === 0;
  const begun = await askForm<BackupWish, Begun>(desk, {
    title: trans.__('Back up now'),
    accept: trans.__('Back up'),
    values: { type: first ? 'full' : 'incremental', first, files: [] },
    form: NewBackupForm,
    fields: ['type', 'files'],
    send: async ({ type, files }) => {
      const paths = files.map(({ path }) => path).filter(Boolean);
      return { operation: await backups.create({ type, files: paths }) };
    }
  });
  if (begun?.operation) {
    await showProgress(desk, begun.operation);
  }
}

/** Restore a backup beside the cluster as a test. */
export async function verifyBackup(desk: Desk, backup: Backup): Promise<void> {
  const operation = await desk.backups.verify(backup.id);
  if (operation) {
    await showProgress(desk, operation);
  }
}

/** Say what is lost, and delete a backup. */
export async function removeBackup(desk: Desk, backup: Backup): Promise<void> {
  const { backups, language, trans } = desk;
  const others = [...(backups.state.items?.values() ?? [])];
  await askForm<RemoveBackupWish, unknown>(desk, {
    title: trans.__(
      'Delete the backup of %1?',
      moment(backup.created_at, language)
    ),
    accept: trans.__('Delete'),
    warn: true,
    values: {
      backup,
      dependants: others.filter(each => each.depends_on.includes(backup.id))
        .length
    },
    form: RemoveBackup,
    fields: [''],
    send: () => backups.remove(backup.id)
  });
}

/** Show what a restore would do, do it where that is agreed to, and say where things are then. */
export async function restoreBackup(desk: Desk, begin: Picked): Promise<void> {
  const { language, store, trans } = desk;
  const operation = await askRestore(desk, begin);
  if (!operation) {
    return;
  }
  await showProgress(desk, operation);
  const now = store.state.operations.get(operation.id);
  const waited = !now || hasEnded(now);
  const ended = waited ? now : await store.ended(operation.id);
  if (ended?.state !== 'succeeded') {
    return;
  }
  const made = ended.result as Restore | undefined;
  if (made?.side) {
    await tellOfSide(desk, made, made.side, waited);
  } else if (made) {
    const when = moment(made.target_time, language);
    const kept = [...Object.values(made.kept), made.kept_files]
      .filter(Boolean)
      .join(', ');
    const what = !made.cluster
      ? trans.__('%1: back at %2.', made.databases.join(', '), when)
      : trans.__('The whole cluster is back at %1.', when);
    Notification.success(
      kept ? `${what} ${trans.__('What was there before: %1', kept)}` : what,
      { autoClose: 10_000 }
    );
  }
}

/** Show how to get into a cluster that was left beside; whoever did something else is asked first. */
async function tellOfSide(
  desk: Desk,
  made: Restore,
  side: SideCluster,
  waited: boolean
): Promise<void> {
  const { language, trans } = desk;
  const when = moment(made.target_time, language);
  const show = async () => {
    const dialog = new Dialog({
      title: trans.__('Left beside'),
      body: new DeskWidget(desk, () => <LeftBeside side={side} when={when} />),
      buttons: [Dialog.okButton({ label: trans.__('Close') })],
      focusNodeSelector: '.jx-WayIn-copy',
      hasClose: true
    });
    dialog.addClass('jx-Dialog');
    await dialog.launch();
  };
  if (waited) {
    await show();
  } else {
    Notification.success(trans.__('The cluster of %1 is left beside.', when), {
      autoClose: false,
      actions: [
        { label: trans.__('How to get in'), callback: () => void show() }
      ]
    });
  }
}
