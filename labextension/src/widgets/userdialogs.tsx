import * as React from 'react';

import type { Role, User } from '../model/people';
import { useDesk } from '../view/desk';
import { NewUserForm, RoleChoice, UserWish } from '../view/NewUserForm';
import type { Desk } from '../view/desk';
import { PasswordField } from '../view/PasswordField';
import { LeavingWish, RemoveUser } from '../view/RemoveUser';
import { askForm, FormProps } from './formdialog';

/** Ask for a new user, and make one. */
export async function createUser(desk: Desk): Promise<void> {
  const { people, trans } = desk;
  const roles = await people.api.roles();
  await askForm<UserWish, unknown>(desk, {
    title: trans.__('New user'),
    accept: trans.__('Add the user'),
    values: { username: '', password: '', role: 'user', email: '', roles },
    form: NewUserForm,
    fields: ['username', 'password', 'role', 'email'],
    check: ({ username, password }) => ({
      ...(!username.trim() && { username: trans.__('This is needed.') }),
      ...(!password && { password: trans.__('This is needed.') })
    }),
    send: ({ username, password, role, email }) =>
      people.createUser({
        username: username.trim(),
        password,
        role,
        ...(email.trim() && { email: email.trim() })
      })
  });
}

function PasswordForm(
  props: FormProps<{ password: string }>
): React.ReactElement {
  const { values, problems, busy, change } = props;
  const { trans } = useDesk();
  return (
    <PasswordField
      value={values.password}
      problem={problems['password']}
      hint={trans.__('It ends all logins by the old one. API keys stay.')}
      disabled={busy}
      autoFocus
      onChange={password => change({ password })}
    />
  );
}

/** Ask for a new password, and set it. */
export async function setPassword(
  desk: Desk,
  user: { readonly id: string; readonly username: string },
  own: boolean
): Promise<void> {
  const { people, trans } = desk;
  await askForm<{ password: string }, unknown>(desk, {
    title: own
      ? trans.__('Change your password')
      : trans.__('New password for %1', user.username),
    accept: trans.__('Set the password'),
    values: { password: '' },
    form: PasswordForm,
    fields: ['password'],
    check: ({ password }) => ({
      ...(!password && { password: trans.__('This is needed.') })
    }),
    send: ({ password }) => people.api.setPassword(user.id, password)
  });
}

interface RoleWish {
  readonly role: string;
  readonly roles: readonly Role[];
}

function RoleForm(props: FormProps<RoleWish>): React.ReactElement {
  const { values, problems, busy, change } = props;
  return (
    <RoleChoice
      value={values.role}
      roles={values.roles}
      problem={problems['role']}
      disabled={busy}
      onChange={role => change({ role })}
    />
  );
}

/** Ask for another role, and give it. */
export async function setRole(desk: Desk, user: User): Promise<void> {
  const { people, trans } = desk;
  const roles = await people.api.roles();
  await askForm<RoleWish, unknown>(desk, {
    title: trans.__('Role of %1', user.username),
    accept: trans.__('Change the role'),
    values: { role: user.role, roles },
    form: RoleForm,
    fields: ['role'],
    send: ({ role }) => people.changeUser(user.id, { role })
  });
}

/** Ask what becomes of a user's things, and delete the user. */
export async function removeUser(desk: Desk, user: User): Promise<void> {
  const { people, trans } = desk;
  const heirs = [...(people.state.users?.values() ?? [])]
    .filter(({ id, enabled }) => id !== user.id && enabled)
    .map(({ username }) => username)
    .sort((a, b) => a.localeCompare(b));
  const me = people.state.me?.username ?? '';
  await askForm<LeavingWish, unknown>(desk, {
    title: trans.__('Delete %1?', user.username),
    accept: trans.__('Delete'),
    warn: true,
    values: {
      user,
      heirs,
      things: 'refuse',
      to: heirs.includes(me) ? me : (heirs[0] ?? '')
    },
    form: RemoveUser,
    fields: [''],
    send: ({ things, to }) => people.deleteUser(user.id, { things, to })
  });
}
