import * as React from 'react';

import { CommandIDs } from '../tokens';
import { useCommand, useDesk, usePeople } from './desk';
import { Filter } from './Filter';
import { List } from './List';
import { UserRow } from './UserRow';

const FILTER_FROM = 8;

/** Everybody who has an account, by name. */
export function UserList(): React.ReactElement {
  const { trans } = useDesk();
  const run = useCommand();
  const users = usePeople(state => state.users);
  const [query, setQuery] = React.useState('');
  const [focused, setFocused] = React.useState<string | null>(null);
  const all = [...(users?.values() ?? [])].sort((a, b) =>
    a.username.localeCompare(b.username)
  );
  const shown = all.filter(({ username, role, email }) =>
    [username, role, email ?? ''].some(text =>
      text.toLowerCase().includes(query.toLowerCase())
    )
  );
  const reached = shown.some(({ id }) => id === focused)
    ? focused
    : (shown[0]?.id ?? null);
  return (
    <div className="jx-Section">
      {all.length >= FILTER_FROM && (
        <Filter
          label={trans.__('Filter users')}
          query={query}
          onChange={setQuery}
        />
      )}
      <List
        label={trans.__('Users')}
        onFocusRow={row => setFocused(row.dataset['user'] ?? null)}
        onKey={(key, row) => {
          const id = row.dataset['user'];
          if (key === 'Delete' && id) {
            run(CommandIDs.removeUser, { id });
          }
        }}
      >
        {shown.map(user => (
          <UserRow key={user.id} user={user} current={user.id === reached} />
        ))}
      </List>
      {query && !shown.length && (
        <div className="jx-Loading">
          {trans.__('No user fits “%1”.', query)}
        </div>
      )}
    </div>
  );
}
