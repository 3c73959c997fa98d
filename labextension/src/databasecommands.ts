import type { JupyterFrontEnd } from '@jupyterlab/application';
import { Notification } from '@jupyterlab/apputils';
import {
  addIcon,
  copyIcon,
  deleteIcon,
  notebookIcon
} from '@jupyterlab/ui-components';

import { copyText } from './clipboard';
import { Arguments, pointed, telling } from './commandtools';
import { databaseIcon } from './icons';
import { Database, isOwn, notebookOf } from './model/databases';
import { CommandIDs } from './tokens';
import { Desk, readerOf } from './view/desk';
import {
  cloneDatabase,
  createDatabase,
  removeDatabase
} from './widgets/databasedialogs';

/**
 * Add the commands about databases.
 *
 * @param show - Shows them.
 * @param folder - Where new notebooks go.
 */
export function addDatabaseCommands(
  app: JupyterFrontEnd,
  desk: Desk,
  show: () => void,
  folder: () => string
): void {
  const { databases, trans } = desk;
  const { commands } = app;
  const at = (args: Arguments): Database | undefined => {
    const name =
      typeof args['name'] === 'string'
        ? args['name']
        : pointed(app, args, 'database');
    return databases.state.items?.get(name ?? '');
  };
  const open = (name: string) => openNotebook(app, name, folder());

  commands.addCommand(CommandIDs.databases, {
    label: trans.__('Show Databases'),
    icon: databaseIcon,
    execute: show
  });
  commands.addCommand(CommandIDs.createDatabase, {
    label: trans.__('New Database…'),
    icon: addIcon,
    execute: () =>
      telling(
        desk,
        trans.__('No notebook was opened'),
        createDatabase(desk, open)
      )
  });

  const deeds = [
    {
      id: CommandIDs.openDatabase,
      label: trans.__('Open a Notebook with the Connection Ready'),
      icon: notebookIcon,
      failed: () => trans.__('No notebook was opened'),
      act: ({ name }: Database) => open(name)
    },
    {
      id: CommandIDs.copyDatabaseUrl,
      label: trans.__('Copy Connection URL'),
      icon: copyIcon,
      failed: (name: string) =>
        trans.__('The connection URL of %1 was not copied', name),
      act: async ({ name }: Database) => {
        copyText(await databases.connectionUrl(name));
        Notification.success(
          trans.__(
            'The connection URL of %1 is copied. The password is in it.',
            name
          ),
          { autoClose: 3000 }
        );
      }
    },
    {
      id: CommandIDs.cloneDatabase,
      label: trans.__('Clone…'),
      icon: undefined,
      failed: (name: string) => trans.__('%1 was not cloned', name),
      act: (database: Database) => cloneDatabase(desk, database, open),
      own: true
    },
    {
      id: CommandIDs.removeDatabase,
      label: trans.__('Delete…'),
      icon: deleteIcon,
      failed: (name: string) => trans.__('%1 was not deleted', name),
      act: (database: Database) => removeDatabase(desk, database),
      own: true,
      lasting: true
    }
  ];
  for (const { id, label, icon, failed, act, own, lasting } of deeds) {
    commands.addCommand(id, {
      label,
      ...(icon && { icon }),
      isEnabled: args => {
        const database = at(args);
        return Boolean(
          database &&
          !(own && !isOwn(database, readerOf(desk))) &&
          !(lasting && database.system)
        );
      },
      execute: async args => {
        const database = at(args);
        if (database) {
          await telling(desk, failed(database.name), act(database));
        }
      }
    });
  }
}

/** Open a new notebook whose first cell leads into a database; nothing of it is run. */
async function openNotebook(
  app: JupyterFrontEnd,
  name: string,
  folder: string
): Promise<void> {
  const { contents, kernelspecs } = app.serviceManager;
  await kernelspecs.ready;
  const all = Object.values(kernelspecs.specs?.kernelspecs ?? {});
  const usual = kernelspecs.specs?.default;
  const kernel = all
    .filter(spec => spec?.language === 'python')
    .sort((a, b) => Number(b?.name === usual) - Number(a?.name === usual))[0];
  const { path } = await contents.newUntitled({
    path: folder,
    type: 'notebook'
  });
  try {
    await contents.save(path, {
      type: 'notebook',
      format: 'json',
      content: notebookOf(
        name,
        kernel ? { name: kernel.name, display_name: kernel.display_name } : null
      )
    });
  } catch (reason) {
    await contents.delete(path);
    throw reason;
  }
  await app.commands.execute('docmanager:open', { path, factory: 'Notebook' });
}
