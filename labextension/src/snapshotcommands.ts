import type { JupyterFrontEnd } from '@jupyterlab/application';
import { deleteIcon, historyIcon } from '@jupyterlab/ui-components';

import { Arguments, named, pointed, telling } from './commandtools';
import { snapshotIcon } from './icons';
import { restorable, Snapshot } from './model/snapshots';
import { CommandIDs } from './tokens';
import type { Desk } from './view/desk';
import {
  createSnapshot,
  removeSnapshot,
  restoreSnapshot
} from './widgets/snapshotdialogs';

/** Add the commands about snapshots. */
export function addSnapshotCommands(app: JupyterFrontEnd, desk: Desk): void {
  const { snapshots, trans } = desk;
  const { commands } = app;
  const at = (args: Arguments): Snapshot | undefined => {
    const name =
      typeof args['name'] === 'string'
        ? args['name']
        : pointed(app, args, 'snapshot');
    return snapshots.state.items?.get(name ?? '');
  };

  commands.addCommand(CommandIDs.createSnapshot, {
    label: named(
      trans.__('Take a Snapshot…'),
      trans.__('Take a Snapshot of the Workspace…')
    ),
    icon: snapshotIcon,
    execute: () =>
      telling(desk, trans.__('No snapshot was taken'), createSnapshot(desk))
  });
  commands.addCommand(CommandIDs.restoreSnapshot, {
    label: trans.__('Restore…'),
    icon: historyIcon,
    isEnabled: args => {
      const snapshot = at(args);
      return Boolean(snapshot && restorable(snapshot).length);
    },
    execute: async args => {
      const snapshot = at(args);
      if (snapshot) {
        const failed = trans.__('The snapshot was not restored');
        await telling(desk, failed, restoreSnapshot(desk, snapshot));
      }
    }
  });
  commands.addCommand(CommandIDs.removeSnapshot, {
    label: trans.__('Delete…'),
    icon: deleteIcon,
    isEnabled: args => Boolean(at(args)),
    execute: async args => {
      const snapshot = at(args);
      if (snapshot) {
        const failed = trans.__('The snapshot was not deleted');
        await telling(desk, failed, removeSnapshot(desk, snapshot));
      }
    }
  });
}
