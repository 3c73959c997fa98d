import { Dialog } from '@jupyterlab/apputils';
import * as React from 'react';

import { ApiError, wordsOf } from '../model/reply';
import { Desk, DeskWidget } from '../view/desk';
import { Problem } from '../view/Field';

/** What a form in a dialog shows, and how it tells what was written. */
export interface FormProps<Values> {
  readonly values: Values;
  /** What is wrong, by field. */
  readonly problems: Readonly<Record<string, string>>;
  /** Facts of the server's refusal. */
  readonly details: Readonly<Record<string, unknown>>;
  readonly busy: boolean;
  readonly change: (part: Partial<Values>) => void;
}

export interface FormOptions<Values, Result> {
  readonly title: string;
  readonly accept: string;
  /** The button warns: something is lost. */
  readonly warn?: boolean;
  readonly values: Values;
  readonly form: React.ComponentType<FormProps<Values>>;
  /** Fields that the form shows problems of; all others are told below it. */
  readonly fields: readonly string[];
  /** What is wrong before the server is asked. */
  readonly check?: (values: Values) => Readonly<Record<string, string>>;
  readonly send: (values: Values) => Promise<Result>;
}

class FormBody<Values, Result> extends DeskWidget {
  constructor(desk: Desk, options: FormOptions<Values, Result>) {
    const { form: Form, fields } = options;
    super(desk, () => (
      <div className="jx-DialogForm">
        <Form
          values={this.values}
          problems={this.problems}
          details={this.details}
          busy={this.busy}
          change={part => {
            this.values = { ...this.values, ...part };
            this.update();
          }}
        />
        <Problem
          text={
            Object.entries(this.problems)
              .filter(([field]) => !fields.includes(field))
              .map(([, text]) => text)
              .join(' ') || undefined
          }
        />
      </div>
    ));
    this.values = options.values;
  }

  values: Values;
  problems: Readonly<Record<string, string>> = {};
  details: Readonly<Record<string, unknown>> = {};
  busy = false;
}

/** Asks for something and sends it; stays while the server says that this can't be. */
class FormDialog<Values, Result> extends Dialog<unknown> {
  constructor(
    private readonly desk: Desk,
    private readonly options: FormOptions<Values, Result>
  ) {
    const body = new FormBody(desk, options);
    const button = options.warn ? Dialog.warnButton : Dialog.okButton;
    super({
      title: options.title,
      body,
      buttons: [Dialog.cancelButton(), button({ label: options.accept })],
      // Nothing is lost by a key that was pressed too often; what is checked first is not.
      defaultButton: options.warn && !options.check ? 0 : 1,
      focusNodeSelector: 'input, select',
      hasClose: true
    });
    this.addClass('jx-Dialog');
    this.body = body;
  }

  /** What the server answered; null where nothing was sent. */
  result: Result | null = null;

  override resolve(index?: number): void {
    if (index === 0) {
      super.resolve(index);
    } else if (!this.body.busy) {
      void this.send();
    }
  }

  private async send(): Promise<void> {
    const { body, options } = this;
    body.problems = options.check?.(body.values) ?? {};
    body.details = {};
    body.busy = !Object.keys(body.problems).length;
    body.update();
    if (!body.busy) {
      return;
    }
    try {
      this.result = await options.send(body.values);
      super.resolve(1);
    } catch (reason) {
      const problems = reason instanceof ApiError ? reason.problems : [];
      const away = this.desk.trans.__('The server does not answer.');
      body.problems = problems.length
        ? Object.fromEntries(problems.map(p => [p.field, p.message]))
        : { '': wordsOf(reason, away) };
      body.details = reason instanceof ApiError ? reason.details : {};
      body.busy = false;
      body.update();
    }
  }

  private readonly body: FormBody<Values, Result>;
}

/** Ask by a form; null where nothing was sent. */
export async function askForm<Values, Result>(
  desk: Desk,
  options: FormOptions<Values, Result>
): Promise<Result | null> {
  const dialog = new FormDialog(desk, options);
  await dialog.launch();
  return dialog.result;
}
