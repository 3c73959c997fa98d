import { Dialog } from '@jupyterlab/apputils';
import * as React from 'react';

import {
  CLUSTER_ROLE,
  Database,
  DATABASE_FIELDS,
  refusalOf,
  toNewDatabase
} from '../model/databases';
import { ApiError } from '../model/reply';
import type { Operation } from '../model/types';
import { CloneDatabase, CloneWish } from '../view/CloneDatabase';
import { Desk, DeskWidget, readerOf } from '../view/desk';
import { NewDatabaseForm, NewDatabaseWish } from '../view/NewDatabaseForm';
import { RemoveDatabase, RemoveDatabaseWish } from '../view/RemoveDatabase';
import { WayIn } from '../view/WayIn';
import { askForm } from './formdialog';
import { showProgress } from './progressdialog';

/** Work that was begun; null where it had ended already. */
interface Begun {
  readonly operation: Operation | null;
}

type Open = (name: string) => Promise<void>;

/**
 * Ask for a new database, make it, and hand over the way into it.
 *
 * @param open - Opens a notebook in it.
 */
export async function createDatabase(desk: Desk, open: Open): Promise<void> {
  const { databases, people, trans } = desk;
  const wish = { name: '' };
  const begun = await askForm<NewDatabaseWish, Begun>(desk, {
    title: trans.__('New database'),
    accept: trans.__('Make the database'),
    values: {
      name: '',
      extensions: '',
      owner: '',
      template: '',
      offered: readerOf(desk).admin
        ? {
            owners: [...(people.state.users?.values() ?? [])]
              .map(({ username }) => username)
              .filter(name => name !== CLUSTER_ROLE)
              .sort((a, b) => a.localeCompare(b)),
            templates: [...(databases.state.items?.values() ?? [])]
              .filter(({ system }) => !system)
              .map(({ name }) => name)
              .sort((a, b) => a.localeCompare(b))
          }
        : null
    },
    form: NewDatabaseForm,
    fields: DATABASE_FIELDS,
    check: named(desk),
    send: values => {
      const body = toNewDatabase(values);
      wish.name = body.name;
      return begin(databases.create(body));
    }
  });
  await hand(desk, wish.name, begun, open);
}

/** Ask what a copy of a database is called, and make it. */
export async function cloneDatabase(
  desk: Desk,
  source: Database,
  open: Open
): Promise<void> {
  const { databases, trans } = desk;
  const wish = { name: '' };
  const begun = await askForm<CloneWish, Begun>(desk, {
    title: trans.__('Clone %1', source.name),
    accept: trans.__('Clone'),
    values: { name: '', schemaOnly: false },
    form: CloneDatabase,
    fields: ['name'],
    check: named(desk),
    send: ({ name, schemaOnly }) => {
      wish.name = name.trim();
      return begin(databases.clone(source.name, wish.name, schemaOnly));
    }
  });
  await hand(desk, wish.name, begun, open);
}

/** Say what is lost, have the name typed, and delete a database. */
export async function removeDatabase(
  desk: Desk,
  database: Database
): Promise<void> {
  const { databases, trans } = desk;
  const { name } = database;
  await askForm<RemoveDatabaseWish, unknown>(desk, {
    title: trans.__('Delete %1?', name),
    accept: trans.__('Delete'),
    warn: true,
    values: { database, typed: '', force: false },
    form: RemoveDatabase,
    fields: ['', 'typed'],
    check: ({ typed }) => ({
      ...(typed.trim() !== name && {
        typed: typed
          ? trans.__('This is not its name.')
          : trans.__('This is needed.')
      })
    }),
    send: async ({ force }) => {
      try {
        await databases.remove(name, force);
      } catch (reason) {
        // Only somebody who is in it can be in the way.
        throw reason instanceof ApiError && reason.status === 409
          ? new ApiError(reason.message, 409, [], { sessions: true })
          : reason;
      }
    }
  });
}

function named(desk: Desk) {
  return ({ name }: { readonly name: string }) => ({
    ...(!name.trim() && { name: desk.trans.__('This is needed.') })
  });
}

async function begin(beginning: Promise<Operation | null>): Promise<Begun> {
  try {
    return { operation: await beginning };
  } catch (reason) {
    throw refusalOf(reason);
  }
}

/** Show how far the making of a database is, and at its end how to get into it. */
async function hand(
  desk: Desk,
  name: string,
  begun: Begun | null,
  open: Open
): Promise<void> {
  const { databases, store, trans } = desk;
  if (!begun) {
    return;
  }
  const { operation } = begun;
  if (operation) {
    await showProgress(desk, operation);
    if (store.state.operations.get(operation.id)?.state !== 'succeeded') {
      return;
    }
  }
  const dialog = new Dialog({
    title: trans.__('%1 is ready', name),
    body: new DeskWidget(desk, () => (
      <div className="jx-DialogForm jx-DatabaseForm">
        <WayIn url={() => databases.connectionUrl(name)} />
      </div>
    )),
    buttons: [
      Dialog.cancelButton({ label: trans.__('Close') }),
      Dialog.okButton({ label: trans.__('Open a notebook') })
    ],
    focusNodeSelector: '.jx-WayIn-copy',
    hasClose: true
  });
  dialog.addClass('jx-Dialog');
  const { button } = await dialog.launch();
  if (button.accept) {
    await open(name);
  }
}
