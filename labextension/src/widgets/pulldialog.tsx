import { Dialog } from '@jupyterlab/apputils';
import * as React from 'react';

import { ApiError, wordsOf } from '../model/reply';
import type { Operation } from '../model/types';
import { Desk, DeskWidget } from '../view/desk';
import { PullForm } from '../view/PullForm';

class PullBody extends DeskWidget {
  constructor(desk: Desk) {
    super(desk, () => (
      <PullForm
        value={this.reference}
        problem={this.problem}
        busy={this.busy}
        onChange={reference => {
          this.reference = reference;
          this.update();
        }}
      />
    ));
  }

  reference = '';
  problem: string | undefined = undefined;
  busy = false;
}

/** Asks for an image and begins to pull it; stays while the server says that this can't be. */
export class PullDialog extends Dialog<unknown> {
  constructor(private readonly desk: Desk) {
    const body = new PullBody(desk);
    const { trans } = desk;
    super({
      title: trans.__('Pull an image'),
      body,
      buttons: [
        Dialog.cancelButton(),
        Dialog.okButton({ label: trans.__('Pull') })
      ],
      focusNodeSelector: 'input',
      hasClose: true
    });
    this.addClass('jx-Dialog');
    this.body = body;
  }

  /** What the pull became: null where there was nothing to wait for, or nothing was asked. */
  operation: Operation | null = null;

  override resolve(index?: number): void {
    if (index === 0) {
      super.resolve(index);
    } else if (!this.body.busy) {
      void this.pull();
    }
  }

  private async pull(): Promise<void> {
    const { actions, trans } = this.desk;
    const { body } = this;
    const reference = body.reference.trim();
    body.problem = reference ? undefined : trans.__('This is needed.');
    body.busy = reference !== '';
    body.update();
    if (!reference) {
      return;
    }
    try {
      this.operation = await actions.pull(reference);
      super.resolve(1);
    } catch (reason) {
      const problems = reason instanceof ApiError ? reason.problems : [];
      body.problem =
        problems.map(({ message }) => message).join(' ') ||
        wordsOf(reason, trans.__('The server does not answer.'));
      body.busy = false;
      body.update();
    }
  }

  private readonly body: PullBody;
}
