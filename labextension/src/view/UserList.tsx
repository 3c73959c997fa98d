import * as React from 'react';

import { CommandIDs } from '../tokens';
import { useCommand, useDesk, usePeople } from './desk';
import { Filter } from './Filter';
import { ItemList } from './ItemList';
import { UserRow } from './UserRow';

const FILTER_FROM = 8;

/** Everybody who has an account, by name. */
export function UserList(): React.ReactElement {
  const { trans } = useDesk();
  const run = useCommand();
  const users = usePeople(state => state.users);
  const [query, setQuery] = React.useState('');
  const all = [...(users?.values() ?? [])].sort((a, b) =>
    a.username.localeCompare(b.username)
  );
  const shown = all.filter(({ username, role, email }) =>
    [username, role, email ?? ''].some(text =>
      text.toLowerCase().includes(query.toLowerCase())
    )
  );
  return (
    <div className="jx-Section">
      {all.length >= FILTER_FROM && (
        <Filter
          label={trans.__('Filter users')}
          query={query}
          onChange={setQuery}
        />
      )}
      <ItemList
        label={trans.__('Users')}
        of="user"
        items={shown}
        keyOf={({ id }) => id}
        onDelete={({ id }) => run(CommandIDs.removeUser, { id })}
      >
        {(user, current) => <UserRow user={user} current={current} />}
      </ItemList>
      {query && !shown.length && (
        <div className="jx-Loading">
          {trans.__('No user fits “%1”.', query)}
        </div>
      )}
    </div>
  );
}
