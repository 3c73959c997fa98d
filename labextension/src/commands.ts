import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { ICommandPalette } from '@jupyterlab/apputils';
import {
  addIcon,
  copyIcon,
  deleteIcon,
  runIcon,
  saveIcon,
  stopIcon,
  terminalIcon
} from '@jupyterlab/ui-components';

import { chooseContainer } from './choose';
import { copyText } from './clipboard';
import { Arguments, named, pointed, telling } from './commandtools';
import { computeIcon, logsIcon, restartIcon } from './icons';
import { addImageCommands } from './imagecommands';
import { Container, isReached, isUp } from './model/types';
import { CommandIDs } from './tokens';
import type { Desk } from './view/desk';
import { confirmRemove } from './widgets/removedialog';
import { saveAsImage } from './widgets/savedialog';

/** What commands of the palette are about until somebody chooses. */
const ANY = { status: 'running' } as const;

/** The tabs that commands open. */
export interface Tabs {
  create: (image: string) => void;
  details: (cid: number) => void;
  logs: (cid: number) => void;
  terminal: (cid: number, number?: number) => void;
}

/** Add every command, for buttons, menus, the palette and other extensions alike. */
export function addCommands(
  app: JupyterFrontEnd,
  desk: Desk,
  tabs: Tabs,
  confirms: () => boolean
): void {
  const { actions, store, trans } = desk;
  const { commands } = app;

  const cidOf = (args: Arguments): number | null => {
    if (typeof args['cid'] === 'number') {
      return args['cid'];
    }
    const text = pointed(app, args, 'cid');
    return text === null ? null : Number(text);
  };
  const at = (args: Arguments): Container | undefined => {
    const cid = cidOf(args);
    return cid === null ? undefined : store.state.containers?.get(cid);
  };
  /** Whether something can be done with a container, or with one that is asked for. */
  const isFree = (container: Container | undefined): boolean =>
    !container ||
    (isReached(container) && !store.state.deeds.has(container.cid));
  /** A container whose state does not matter: tabs are restored before any is known. */
  const known = async (
    args: Arguments,
    title: string,
    fits?: (container: Container) => boolean
  ): Promise<number | null> =>
    cidOf(args) ??
    (await chooseContainer(desk, null, title, fits))?.cid ??
    null;

  commands.addCommand(CommandIDs.show, {
    label: trans.__('Show Compute'),
    icon: computeIcon,
    execute: () => app.shell.activateById('jupyter-ext-compute')
  });
  commands.addCommand(CommandIDs.create, {
    label: trans.__('New Container…'),
    icon: addIcon,
    execute: args =>
      tabs.create(typeof args['image'] === 'string' ? args['image'] : '')
  });
  commands.addCommand(CommandIDs.details, {
    label: named(trans.__('Show Details'), trans.__('Show Container Details…')),
    icon: computeIcon,
    execute: async args => {
      const cid = await known(args, trans.__('Details of which container?'));
      if (cid !== null) {
        tabs.details(cid);
      }
    }
  });
  commands.addCommand(CommandIDs.logs, {
    label: named(trans.__('Show Logs'), trans.__('Show Container Logs…')),
    icon: logsIcon,
    isEnabled: args => isReached(at(args) ?? ANY),
    execute: async args => {
      const title = trans.__('Logs of which container?');
      const cid = await known(args, title, isReached);
      if (cid !== null) {
        tabs.logs(cid);
      }
    }
  });
  commands.addCommand(CommandIDs.terminal, {
    label: named(
      trans.__('Open Terminal'),
      trans.__('Open Terminal in Container…')
    ),
    icon: terminalIcon,
    isEnabled: args => (at(args) ?? ANY).status === 'running',
    execute: async args => {
      const title = trans.__('Terminal in which container?');
      const cid =
        cidOf(args) ?? (await chooseContainer(desk, null, title, isUp))?.cid;
      if (cid !== undefined) {
        const number = args['number'];
        tabs.terminal(cid, typeof number === 'number' ? number : undefined);
      }
    }
  });

  const deeds = [
    {
      id: CommandIDs.start,
      action: 'start',
      label: named(trans.__('Start'), trans.__('Start Container…')),
      icon: runIcon,
      title: trans.__('Start which container?'),
      failed: (name: string) => trans.__('%1 was not started', name),
      fits: (container: Container) => !isUp(container) && isReached(container)
    },
    {
      id: CommandIDs.stop,
      action: 'stop',
      label: named(trans.__('Stop'), trans.__('Stop Container…')),
      icon: stopIcon,
      title: trans.__('Stop which container?'),
      failed: (name: string) => trans.__('%1 was not stopped', name),
      fits: isUp
    },
    {
      id: CommandIDs.restart,
      action: 'restart',
      label: named(trans.__('Restart'), trans.__('Restart Container…')),
      icon: restartIcon,
      title: trans.__('Restart which container?'),
      failed: (name: string) => trans.__('%1 was not restarted', name),
      fits: isUp
    }
  ] as const;
  for (const { id, action, label, icon, title, failed, fits } of deeds) {
    commands.addCommand(id, {
      label,
      icon,
      isEnabled: args => {
        const container = at(args);
        return (
          !container ||
          (fits(container) && !store.state.deeds.has(container.cid))
        );
      },
      execute: async args => {
        const found = await chooseContainer(desk, cidOf(args), title, fits);
        if (found) {
          await telling(desk, failed(found.name), actions.act(found, action));
        }
      }
    });
  }

  commands.addCommand(CommandIDs.keep, {
    label: named(trans.__('Keep Running'), trans.__('Keep Container Running…')),
    isEnabled: args => isUp(at(args) ?? ANY),
    execute: async args => {
      const title = trans.__('Keep which container running?');
      const found = await chooseContainer(desk, cidOf(args), title, isUp);
      if (found) {
        const failed = trans.__('%1 is not kept', found.name);
        await telling(desk, failed, actions.keep(found));
      }
    }
  });
  commands.addCommand(CommandIDs.remove, {
    label: named(trans.__('Delete…'), trans.__('Delete Container…')),
    icon: deleteIcon,
    isEnabled: args => isFree(at(args)),
    execute: async args => {
      const title = trans.__('Delete which container?');
      const found = await chooseContainer(desk, cidOf(args), title, isReached);
      if (found && (!confirms() || (await confirmRemove(desk, found)))) {
        const failed = trans.__('%1 was not deleted', found.name);
        await telling(desk, failed, actions.remove(found));
      }
    }
  });
  commands.addCommand(CommandIDs.saveImage, {
    label: named(
      trans.__('Save as Image…'),
      trans.__('Save Container as Image…')
    ),
    icon: saveIcon,
    isEnabled: args => isFree(at(args)),
    execute: async args => {
      const title = trans.__('Save which container?');
      const found = await chooseContainer(desk, cidOf(args), title, isReached);
      if (found) {
        const failed = trans.__('%1 was not saved', found.name);
        await telling(desk, failed, saveAsImage(desk, found));
      }
    }
  });
  commands.addCommand(CommandIDs.copyName, {
    label: trans.__('Copy Name'),
    icon: copyIcon,
    execute: args => {
      const found = at(args);
      if (found) {
        copyText(found.name);
      }
    }
  });
  commands.addCommand(CommandIDs.copyId, {
    label: trans.__('Copy Id'),
    icon: copyIcon,
    execute: args => {
      const found = at(args);
      if (found) {
        copyText(found.id);
      }
    }
  });
  addImageCommands(app, desk, tabs);
}

/** Offer the commands in the palette; those about one container ask for which. */
export function addToPalette(palette: ICommandPalette, desk: Desk): void {
  const category = desk.trans.__('Compute');
  for (const command of [
    CommandIDs.show,
    CommandIDs.create,
    CommandIDs.pull,
    CommandIDs.run,
    CommandIDs.details,
    CommandIDs.logs,
    CommandIDs.terminal,
    CommandIDs.start,
    CommandIDs.stop,
    CommandIDs.restart,
    CommandIDs.keep,
    CommandIDs.saveImage,
    CommandIDs.remove,
    CommandIDs.removeImage,
    CommandIDs.account,
    CommandIDs.createKey,
    CommandIDs.password,
    CommandIDs.createUser,
    CommandIDs.addDevice,
    CommandIDs.databases,
    CommandIDs.createDatabase,
    CommandIDs.createBackup,
    CommandIDs.restoreBackup,
    CommandIDs.createSnapshot
  ]) {
    palette.addItem({ command, category, args: { isPalette: true } });
  }
}
