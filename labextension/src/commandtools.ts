import type { JupyterFrontEnd } from '@jupyterlab/application';
import { Notification } from '@jupyterlab/apputils';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';

import { wordsOf } from './model/reply';
import type { Desk } from './view/desk';

export type Arguments = ReadonlyPartialJSONObject;

/** In a menu it is clear what a command is about, in the palette not. */
export function named(inMenu: string, inPalette: string) {
  return (args: Arguments): string => (args['isPalette'] ? inPalette : inMenu);
}

/** What a row that was pointed at is about, by the name of its `data-` attribute. */
export function pointed(
  app: JupyterFrontEnd,
  args: Arguments,
  attribute: string
): string | null {
  if (args['isPalette']) {
    return null;
  }
  const row = app.contextMenuHitTest(
    node => node.dataset[attribute] !== undefined
  );
  return row?.dataset[attribute] ?? null;
}

/** Do something, and tell of its failure. */
export async function telling(
  desk: Desk,
  what: string,
  work: Promise<void>
): Promise<void> {
  try {
    await work;
  } catch (reason) {
    const away = desk.trans.__('The server does not answer.');
    Notification.error(`${what}: ${wordsOf(reason, away)}`, {
      autoClose: 10_000
    });
  }
}
