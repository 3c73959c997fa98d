import { Dialog } from '@jupyterlab/apputils';
import type { Message } from '@lumino/messaging';
import * as React from 'react';

import { restoreProblem } from '../model/backupstore';
import { ApiError, wordsOf } from '../model/reply';
import type { Operation } from '../model/types';
import { Desk, DeskWidget } from '../view/desk';
import { Readied, RestoreForm } from '../view/RestoreForm';
import type { Picked } from '../view/TimeLine';

const RESTORE = 1;

class RestoreBody extends DeskWidget {
  constructor(desk: Desk, begin: Picked) {
    super(desk, () => (
      <RestoreForm
        begin={begin}
        busy={this.busy}
        failure={this.failure}
        onReady={readied => this.heard?.(readied)}
      />
    ));
  }

  busy = false;
  failure: string | null = null;
  /** Called with what was read and agreed to, or when that is so no more. */
  heard: ((readied: Readied | null) => void) | null = null;
}

/** Its button works once what would happen has been shown. */
class RestoreDialog extends Dialog<unknown> {
  constructor(
    private readonly desk: Desk,
    begin: Picked
  ) {
    const { trans } = desk;
    const body = new RestoreBody(desk, begin);
    super({
      title: trans.__('Go back to a moment'),
      body,
      buttons: [
        Dialog.cancelButton(),
        Dialog.warnButton({
          label: trans.__('Restore'),
          className: 'jx-Restore'
        })
      ],
      defaultButton: RESTORE,
      focusNodeSelector: 'input',
      hasClose: true
    });
    this.addClass('jx-Dialog');
    this.addClass('jx-mod-restore');
    this.body = body;
    body.heard = readied => {
      this.readied = readied;
      body.failure = null;
      this.refresh();
    };
  }

  /** What was begun; null where nothing was. */
  operation: Operation | null = null;

  /** What can't be taken back wants its button: in a field the enter key begins nothing. */
  override handleEvent(event: Event): void {
    const enter = event instanceof KeyboardEvent && event.key === 'Enter';
    const inBody = document.activeElement?.closest('.jp-Dialog-body');
    if (!(enter && inBody)) {
      super.handleEvent(event);
    }
    if (event.type === 'input') {
      // Jupyter enables the button of a form without invalid fields.
      this.judge();
    }
  }

  override resolve(index?: number): void {
    if (index === RESTORE) {
      void this.send();
    } else if (index === 0) {
      super.resolve(index);
    }
  }

  protected override onAfterAttach(message: Message): void {
    super.onAfterAttach(message);
    this.refresh();
  }

  private async send(): Promise<void> {
    const { body, desk, readied } = this;
    if (!readied || body.busy) {
      return;
    }
    body.busy = true;
    this.refresh();
    try {
      const { backup, wish } = readied;
      this.operation = await desk.backups.restore(backup, wish);
      super.resolve(RESTORE);
    } catch (reason) {
      body.failure =
        reason instanceof ApiError && reason.status
          ? restoreProblem(reason)
          : wordsOf(reason, desk.trans.__('The server does not answer.'));
      body.busy = false;
      this.refresh();
    }
  }

  private refresh(): void {
    this.judge();
    this.body.update();
  }

  /** Let the button say whether it does something. */
  private judge(): void {
    const button = this.node.querySelector<HTMLButtonElement>('.jx-Restore');
    if (button) {
      button.disabled = !this.readied || this.body.busy;
      // A cluster that is left beside replaces nothing.
      const beside = this.readied?.wish.mode === 'side';
      button.classList.toggle('jp-mod-warn', !beside);
      button.classList.toggle('jp-mod-accept', beside);
    }
  }

  private readied: Readied | null = null;
  private readonly body: RestoreBody;
}

/** Ask for a moment and databases, and begin to restore; null where nothing was begun. */
export async function askRestore(
  desk: Desk,
  begin: Picked
): Promise<Operation | null> {
  const dialog = new RestoreDialog(desk, begin);
  await dialog.launch();
  return dialog.operation;
}
