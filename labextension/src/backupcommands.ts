import type { JupyterFrontEnd } from '@jupyterlab/application';
import { deleteIcon, historyIcon, saveIcon } from '@jupyterlab/ui-components';

import { Arguments, named, pointed, telling } from './commandtools';
import { Backup, earliest, lanesOf, nearest } from './model/backups';
import { CommandIDs } from './tokens';
import { Desk, readerOf } from './view/desk';
import type { Picked } from './view/TimeLine';
import {
  createBackup,
  removeBackup,
  restoreBackup,
  verifyBackup
} from './widgets/backupdialogs';

/** Add the commands about backups. */
export function addBackupCommands(app: JupyterFrontEnd, desk: Desk): void {
  const { backups, trans } = desk;
  const { commands } = app;
  const at = (args: Arguments): Backup | undefined => {
    const id =
      typeof args['id'] === 'string'
        ? args['id']
        : pointed(app, args, 'backup');
    return backups.state.items?.get(id ?? '');
  };
  /** The moment that was pointed at: a backup's end, or as late as can be. */
  const picked = (args: Arguments): Picked | null => {
    const { timeline, moment } = args;
    if (typeof timeline === 'number' && typeof moment === 'number') {
      return { timeline, moment };
    }
    const backup = at(args);
    if (backup) {
      return { timeline: backup.timeline, moment: earliest(backup) };
    }
    const now = Date.now();
    const [lane] = lanesOf(backups.state.items?.values() ?? [], now);
    const latest = lane && nearest(lane, now);
    return lane && typeof latest === 'number'
      ? { timeline: lane.timeline, moment: latest }
      : null;
  };

  commands.addCommand(CommandIDs.createBackup, {
    label: named(trans.__('Back up Now…'), trans.__('Back up Databases Now…')),
    icon: saveIcon,
    execute: () =>
      telling(desk, trans.__('No backup was taken'), createBackup(desk))
  });
  commands.addCommand(CommandIDs.restoreBackup, {
    label: named(
      trans.__('Restore…'),
      trans.__('Take Databases back to a Moment…')
    ),
    icon: historyIcon,
    isEnabled: args => Boolean(picked(args)),
    execute: async args => {
      const begin = picked(args);
      if (begin) {
        const failed = trans.__('Nothing was restored');
        await telling(desk, failed, restoreBackup(desk, begin));
      }
    }
  });
  commands.addCommand(CommandIDs.verifyBackup, {
    label: trans.__('Test by Restoring It Beside'),
    isEnabled: args => {
      const backup = at(args);
      const { admin, username } = readerOf(desk);
      return Boolean(backup && (admin || backup.owner === username));
    },
    execute: async args => {
      const backup = at(args);
      if (backup) {
        const failed = trans.__('The backup was not tested');
        await telling(desk, failed, verifyBackup(desk, backup));
      }
    }
  });
  commands.addCommand(CommandIDs.removeBackup, {
    label: trans.__('Delete…'),
    icon: deleteIcon,
    isEnabled: args => Boolean(at(args) && readerOf(desk).admin),
    execute: async args => {
      const backup = at(args);
      if (backup) {
        const failed = trans.__('The backup was not deleted');
        await telling(desk, failed, removeBackup(desk, backup));
      }
    }
  });
}
