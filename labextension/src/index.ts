import {
  ILayoutRestorer,
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import {
  ICommandPalette,
  IThemeManager,
  Notification,
  WidgetTracker
} from '@jupyterlab/apputils';
import { PageConfig } from '@jupyterlab/coreutils';
import { FileDialog, IDefaultFileBrowser } from '@jupyterlab/filebrowser';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import type { ITerminal } from '@jupyterlab/terminal';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { addBackupCommands } from './backupcommands';
import { addCommands, addToPalette } from './commands';
import { addDatabaseCommands } from './databasecommands';
import { addDeviceCommands } from './devicecommands';
import { Actions } from './model/actions';
import { Api } from './model/api';
import { BackupStore } from './model/backupstore';
import { DatabaseStore } from './model/databasestore';
import { DeviceStore } from './model/devicestore';
import { ServiceStore } from './model/servicestore';
import { SnapshotStore } from './model/snapshotstore';
import { addServiceCommands } from './servicecommands';
import { addSnapshotCommands } from './snapshotcommands';
import { absolute } from './model/folder';
import { PeopleApi } from './model/peopleapi';
import { PeopleStore } from './model/peoplestore';
import { EventSocket } from './model/socket';
import { Store } from './model/store';
import { addPeopleCommands } from './peoplecommands';
import { CommandIDs, DOMAIN, PLUGIN_ID } from './tokens';
import type { Desk } from './view/desk';
import type { ViewName } from './view/ViewSwitch';
import { ComputePanel } from './widgets/panel';
import { CreateTab, DetailsTab, LogsTab } from './widgets/tabs';
import { TerminalTab } from './widgets/terminaltab';

const TERMINAL_SETTINGS = '@jupyterlab/terminal-extension:plugin';

/** Containers and images in the side bar. */
const plugin: JupyterFrontEndPlugin<void> = {
  id: PLUGIN_ID,
  description: 'Containers and images in the side bar.',
  autoStart: true,
  optional: [
    ICommandPalette,
    IDefaultFileBrowser,
    ILayoutRestorer,
    ISettingRegistry,
    IThemeManager,
    ITranslator
  ],
  activate
};

function activate(
  app: JupyterFrontEnd,
  palette: ICommandPalette | null,
  fileBrowser: IDefaultFileBrowser | null,
  restorer: ILayoutRestorer | null,
  settings: ISettingRegistry | null,
  themes: IThemeManager | null,
  translator: ITranslator | null
): void {
  const translation = translator ?? nullTranslator;
  const trans = translation.load(DOMAIN);
  const store = new Store();
  const api = new Api(app.serviceManager.serverSettings);
  const socket = new EventSocket(() => api.openSocket('ws'));
  const people = new PeopleStore(new PeopleApi(api));
  const databases = new DatabaseStore(api, socket, store);
  const desk: Desk = {
    store,
    people,
    devices: new DeviceStore(api, socket),
    databases,
    services: new ServiceStore(api, socket),
    backups: new BackupStore(api, socket, store, () => {
      databases.measure().catch(() => undefined);
    }),
    snapshots: new SnapshotStore(api, socket, store),
    actions: new Actions(api, store),
    commands: app.commands,
    trans,
    language: (translation.languageCode || 'en').replace('_', '-'),
    openMenu: event => {
      // By way of the page, so that commands learn which row was pointed at.
      const { currentTarget, detail } = event;
      const { left, bottom } = currentTarget.getBoundingClientRect();
      currentTarget.dispatchEvent(
        new MouseEvent('contextmenu', {
          bubbles: true,
          cancelable: true,
          // The keyboard clicks nowhere.
          clientX: detail ? event.clientX : left,
          clientY: detail ? event.clientY : bottom
        })
      );
    }
  };

  let confirmDelete = true;
  let logTail = 1000;
  let terminalOptions: Partial<ITerminal.IOptions> = {};
  void settings
    ?.load(PLUGIN_ID)
    .then(own => {
      const read = () => {
        confirmDelete = own.get('confirmDelete').composite !== false;
        logTail = Number(own.get('logTail').composite ?? logTail);
      };
      read();
      own.changed.connect(read);
    })
    .catch((reason: unknown) => {
      console.error('The settings of Compute were not read.', reason);
    });
  // Terminals in containers look as JupyterLab's own do.
  void settings
    ?.load(TERMINAL_SETTINGS)
    .then(terminal => {
      const read = () => {
        terminalOptions = terminal.composite;
      };
      read();
      terminal.changed.connect(read);
    })
    .catch(() => undefined);

  const logs = new WidgetTracker<LogsTab>({ namespace: 'jupyter-ext-logs' });
  const details = new WidgetTracker<DetailsTab>({
    namespace: 'jupyter-ext-details'
  });
  const terminals = new WidgetTracker<TerminalTab>({
    namespace: 'jupyter-ext-terminals'
  });
  themes?.themeChanged.connect(() => {
    terminals.forEach(({ content }) => {
      content.setOption('theme', content.getOption('theme'));
    });
  });

  const show = (id: string, make: () => LogsTab | DetailsTab | CreateTab) => {
    const open = [...app.shell.widgets('main')].find(tab => tab.id === id);
    const tab = open ?? make();
    if (!open) {
      app.shell.add(tab, 'main');
    }
    app.shell.activateById(tab.id);
  };
  const browse =
    fileBrowser &&
    (async () => {
      const { value } = await FileDialog.getExistingDirectory({
        manager: fileBrowser.model.manager,
        title: trans.__('Choose a folder'),
        translator: translation
      });
      const chosen = value?.[0];
      if (!chosen) {
        return null;
      }
      const root = PageConfig.getOption('serverRoot');
      const path = absolute(chosen.path, root, store.state.mountRoots);
      if (path === null) {
        Notification.warning(
          trans.__('The full path of this folder is not known here: type it.'),
          { autoClose: 8000 }
        );
      }
      return path;
    });

  addCommands(
    app,
    desk,
    {
      create: image => {
        show('jupyter-ext-create', () => new CreateTab(desk, image, browse));
      },
      details: cid => {
        show(`jupyter-ext-details-${cid}`, () => {
          const tab = new DetailsTab(desk, cid);
          void details.add(tab);
          return tab;
        });
      },
      logs: cid => {
        show(`jupyter-ext-logs-${cid}`, () => {
          const tab = new LogsTab(desk, socket, cid, logTail);
          void logs.add(tab);
          return tab;
        });
      },
      terminal: (cid, wanted) => {
        let number = wanted ?? 1;
        while (terminals.find(({ name }) => name === `${cid}-${number}`)) {
          number += 1;
        }
        const tab = new TerminalTab(
          desk,
          cid,
          number,
          terminalOptions,
          translation
        );
        void terminals.add(tab);
        app.shell.add(tab, 'main', { type: 'Terminal' });
        app.shell.activateById(tab.id);
      }
    },
    () => confirmDelete
  );
  if (palette) {
    addToPalette(palette, desk);
  }

  const panel = new ComputePanel(desk);
  const showView = (view: ViewName) => {
    app.shell.activateById(panel.id);
    panel.choose(view);
  };
  addPeopleCommands(app, desk, showView);
  addDeviceCommands(app, desk);
  addServiceCommands(app, desk);
  addDatabaseCommands(
    app,
    desk,
    () => showView('data'),
    () => fileBrowser?.model.path ?? ''
  );
  addBackupCommands(app, desk);
  addSnapshotCommands(app, desk);
  app.shell.add(panel, 'left', { rank: 300, type: 'Compute' });
  if (restorer) {
    restorer.add(panel, panel.id);
    void restorer.restore(logs, {
      command: CommandIDs.logs,
      args: ({ cid }) => ({ cid }),
      name: ({ cid }) => String(cid)
    });
    void restorer.restore(details, {
      command: CommandIDs.details,
      args: ({ cid }) => ({ cid }),
      name: ({ cid }) => String(cid)
    });
    void restorer.restore(terminals, {
      command: CommandIDs.terminal,
      args: ({ cid, number }) => ({ cid, number }),
      name: ({ name }) => name
    });
  }

  store.feed(socket);
  people.feed(socket);
  // Also while nobody looks: the server warns before it ends.
  desk.services.follow();
  // A server without this extension refuses the socket in the same way as one that is away.
  socket.stateChanged.connect((_, state) => {
    if (state === 'lost' && socket.failures === 1) {
      api
        .isThere()
        .then(there => {
          if (!there) {
            store.setMissing();
            socket.dispose();
          }
        })
        .catch(() => undefined);
    }
  });
  const check = () => {
    if (!document.hidden) {
      void socket.check();
    }
  };
  document.addEventListener('visibilitychange', check);
  window.addEventListener('online', check);
  socket.connect();
}

export default plugin;
