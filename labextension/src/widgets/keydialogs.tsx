import { Dialog, showDialog } from '@jupyterlab/apputils';
import * as React from 'react';

import type { ApiKey, CreatedApiKey } from '../model/people';
import { expiryOf, LOOK, scopesOf } from '../model/scopes';
import { Desk, DeskWidget } from '../view/desk';
import { NewKey } from '../view/NewKey';
import { KeyWish, NewKeyForm, NO_KEY } from '../view/NewKeyForm';
import { askForm } from './formdialog';

/** Ask for a new key, make it, and show it this once. */
export async function createKey(desk: Desk): Promise<void> {
  const { people, trans } = desk;
  const made = await askForm<KeyWish, CreatedApiKey>(desk, {
    title: trans.__('New API key'),
    accept: trans.__('Create key'),
    values: NO_KEY,
    form: NewKeyForm,
    fields: ['name', 'expires_at', 'scopes'],
    check: ({ name, expires, date, access, chosen }) => ({
      ...(!name.trim() && { name: trans.__('This is needed.') }),
      ...(expires === 'date' &&
        !date && { expires_at: trans.__('Choose a date.') }),
      ...(access === 'chosen' &&
        !scopesOf(chosen).length && {
          scopes: trans.__('Choose at least one thing.')
        })
    }),
    send: ({ name, expires, date, access, chosen }) => {
      const until = expiryOf(expires, date, Date.now());
      return people.createKey({
        name: name.trim(),
        ...(until !== undefined && { expires_at: until }),
        ...(access !== 'all' && {
          scopes: access === 'look' ? LOOK : scopesOf(chosen)
        })
      });
    }
  });
  if (made) {
    const dialog = new Dialog({
      title: trans.__('Your new API key “%1”', made.name),
      body: new DeskWidget(desk, () => <NewKey made={made} />),
      buttons: [Dialog.okButton({ label: trans.__('I have copied it') })],
      focusNodeSelector: 'button',
      // A click beside it must not lose the key.
      hasClose: false
    });
    dialog.addClass('jx-Dialog');
    await dialog.launch();
  }
}

/** Ask before a key ends. */
export async function confirmRevoke(desk: Desk, key: ApiKey): Promise<boolean> {
  const { trans } = desk;
  const { button } = await showDialog({
    title: trans.__('Revoke %1?', key.name),
    body: trans.__(
      'Whatever uses the key %1… is refused from now on. This can’t be undone.',
      key.hint
    ),
    buttons: [
      Dialog.cancelButton(),
      Dialog.warnButton({ label: trans.__('Revoke') })
    ],
    defaultButton: 0
  });
  return button.accept;
}
