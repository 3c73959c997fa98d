import * as React from 'react';

import type { Role } from '../model/people';
import type { FormProps } from '../widgets/formdialog';
import { Choice } from './Choice';
import { useDesk } from './desk';
import { Field } from './Field';
import { PasswordField } from './PasswordField';

/** A user to be, as one is asked for. */
export interface UserWish {
  readonly username: string;
  readonly password: string;
  readonly role: string;
  readonly email: string;
  readonly roles: readonly Role[];
}

/** Who is added, and what they may do. */
export function NewUserForm(props: FormProps<UserWish>): React.ReactElement {
  const { values, problems, busy, change } = props;
  const { trans } = useDesk();
  return (
    <>
      <Field
        label={trans.__('Name')}
        value={values.username}
        problem={problems['username']}
        hint={trans.__('Small letters, digits, - and _')}
        onChange={username => change({ username })}
        input={{
          disabled: busy,
          autoFocus: true,
          spellCheck: false,
          autoCapitalize: 'none',
          autoComplete: 'off'
        }}
      />
      <PasswordField
        value={values.password}
        problem={problems['password']}
        disabled={busy}
        onChange={password => change({ password })}
      />
      <RoleChoice
        value={values.role}
        roles={values.roles}
        problem={problems['role']}
        disabled={busy}
        onChange={role => change({ role })}
      />
      <Field
        label={trans.__('E-mail')}
        value={values.email}
        problem={problems['email']}
        hint={trans.__('Optional')}
        onChange={email => change({ email })}
        input={{ disabled: busy, spellCheck: false, autoComplete: 'off' }}
      />
    </>
  );
}

/** One of the roles, with what it may do. */
export function RoleChoice(props: {
  value: string;
  roles: readonly Role[];
  problem: string | undefined;
  disabled: boolean;
  onChange: (role: string) => void;
}): React.ReactElement {
  const { value, roles } = props;
  const { trans } = useDesk();
  return (
    <Choice
      label={trans.__('Role')}
      value={value}
      options={roles.map(({ name }) => [name, name] as const)}
      hint={roles.find(({ name }) => name === value)?.description}
      problem={props.problem}
      disabled={props.disabled}
      onChange={props.onChange}
    />
  );
}
