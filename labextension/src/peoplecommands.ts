import type { JupyterFrontEnd } from '@jupyterlab/application';
import {
  addIcon,
  deleteIcon,
  lockIcon,
  userIcon
} from '@jupyterlab/ui-components';

import { Arguments, pointed, telling } from './commandtools';
import type { ApiKey, User } from './model/people';
import { CommandIDs } from './tokens';
import type { Desk } from './view/desk';
import type { ViewName } from './view/ViewSwitch';
import { confirmRevoke, createKey } from './widgets/keydialogs';
import {
  createUser,
  removeUser,
  setPassword,
  setRole
} from './widgets/userdialogs';

/** Add the commands about the reader's account, and those of administrators. */
export function addPeopleCommands(
  app: JupyterFrontEnd,
  desk: Desk,
  show: (view: ViewName) => void
): void {
  const { people, trans } = desk;
  const { commands } = app;
  const named = (args: Arguments, attribute: string): string | null =>
    typeof args['id'] === 'string' ? args['id'] : pointed(app, args, attribute);
  const keyAt = (args: Arguments): ApiKey | undefined => {
    const { keys } = people.state;
    const id = named(args, 'key');
    return keys.state === 'there'
      ? keys.value.find(key => key.id === id)
      : undefined;
  };
  const userAt = (args: Arguments): User | undefined =>
    people.state.users?.get(named(args, 'user') ?? '');
  const isAdmin = () => people.state.users !== null;

  commands.addCommand(CommandIDs.account, {
    label: trans.__('Show Account'),
    icon: userIcon,
    execute: () => show('account')
  });
  commands.addCommand(CommandIDs.createKey, {
    label: trans.__('New API Key…'),
    icon: addIcon,
    execute: () => createKey(desk)
  });
  commands.addCommand(CommandIDs.revokeKey, {
    label: trans.__('Revoke…'),
    icon: deleteIcon,
    execute: async args => {
      const key = keyAt(args);
      if (key && (await confirmRevoke(desk, key))) {
        const failed = trans.__('%1 was not revoked', key.name);
        await telling(desk, failed, people.revokeKey(key.id));
      }
    }
  });
  commands.addCommand(CommandIDs.password, {
    label: trans.__('Change Password…'),
    icon: lockIcon,
    execute: async () => {
      const me = people.state.me ?? (await people.api.me());
      await setPassword(desk, me, true);
    }
  });
  commands.addCommand(CommandIDs.createUser, {
    label: trans.__('New User…'),
    icon: addIcon,
    isVisible: isAdmin,
    isEnabled: isAdmin,
    execute: () =>
      telling(desk, trans.__('No user was added'), createUser(desk))
  });

  const deeds = [
    {
      id: CommandIDs.setRole,
      label: trans.__('Change Role…'),
      failed: (name: string) => trans.__('The role of %1 is as it was', name),
      act: (user: User) => setRole(desk, user)
    },
    {
      id: CommandIDs.setPassword,
      label: trans.__('Reset Password…'),
      failed: (name: string) =>
        trans.__('The password of %1 is as it was', name),
      act: (user: User) => setPassword(desk, user, false)
    },
    {
      id: CommandIDs.disableUser,
      label: trans.__('Disable'),
      failed: (name: string) => trans.__('%1 was not disabled', name),
      act: (user: User) => people.changeUser(user.id, { enabled: false })
    },
    {
      id: CommandIDs.enableUser,
      label: trans.__('Enable'),
      failed: (name: string) => trans.__('%1 was not enabled', name),
      act: (user: User) => people.changeUser(user.id, { enabled: true })
    },
    {
      id: CommandIDs.removeUser,
      label: trans.__('Delete…'),
      failed: (name: string) => trans.__('%1 was not deleted', name),
      act: (user: User) => removeUser(desk, user)
    }
  ] as const;
  for (const { id, label, failed, act } of deeds) {
    // Whoever shuts themselves out can't undo it.
    const barred: boolean =
      id === CommandIDs.disableUser || id === CommandIDs.removeUser;
    commands.addCommand(id, {
      label,
      isEnabled: args => {
        const user = userAt(args);
        return Boolean(user && !(barred && user.id === people.state.me?.id));
      },
      execute: async args => {
        const user = userAt(args);
        if (user) {
          await telling(desk, failed(user.username), act(user));
        }
      }
    });
  }
}
