import { Dialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { hasEnded, Operation } from '../model/types';
import { Desk, DeskWidget } from '../view/desk';
import { OperationProgress } from '../view/OperationProgress';

/** What the button says that gives up work of a kind. */
function cancelWords(trans: TranslationBundle, kind: string): string {
  if (kind.startsWith('database.')) {
    return trans.__('Stop making it');
  }
  if (/^(?:backup|snapshot)\./.test(kind)) {
    return trans.__('Stop it');
  }
  return kind === 'image.save'
    ? trans.__('Cancel saving')
    : trans.__('Cancel pull');
}

/**
 * Show an operation until it has succeeded or is sent to the background.
 *
 * One that fails stays to be read.
 */
export async function showProgress(
  desk: Desk,
  operation: Operation
): Promise<void> {
  const { actions, store, trans } = desk;
  const { id, subject } = operation;
  const body = new DeskWidget(desk, () => <OperationProgress id={id} />);
  const dialog = new Dialog({
    title: subject,
    body,
    buttons: hasEnded(operation)
      ? [Dialog.okButton({ label: trans.__('Close') })]
      : [
          Dialog.warnButton({
            label: cancelWords(trans, operation.kind),
            className: 'jx-CancelOperation'
          }),
          Dialog.okButton({ label: trans.__('Go on in the background') })
        ],
    defaultButton: hasEnded(operation) ? 0 : 1,
    hasClose: true
  });
  dialog.addClass('jx-Dialog');
  dialog.addClass('jx-mod-progress');
  let open = true;
  const read: { failed?: Operation } = {};
  void store.ended(id).then(ended => {
    if (open && !hasEnded(operation)) {
      if (ended.state === 'failed') {
        read.failed = ended;
      }
      dialog.reject();
    }
  });
  const { button } = await dialog.launch();
  open = false;
  if (read.failed) {
    // Nothing is left to cancel or to wait for: the same again, only to be read.
    return showProgress(desk, read.failed);
  }
  if (button.className === 'jx-CancelOperation') {
    const now = store.state.operations.get(id);
    if (now && !hasEnded(now)) {
      await actions.cancel(operation);
    }
  }
  // A failure that was read here need not be told again.
  const now = store.state.operations.get(id);
  if (now?.state === 'failed') {
    store.dismiss(id);
  }
}
