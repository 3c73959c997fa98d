import { ellipsesIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { age } from '../model/format';
import type { User } from '../model/people';
import { useDesk, usePeople } from './desk';
import { IconButton } from './IconButton';

/** One user: role, whether they can log in, and when they did. */
export const UserRow = React.memo(function UserRow(props: {
  user: User;
  current: boolean;
}): React.ReactElement {
  const { user, current } = props;
  const { id, username, role, enabled } = user;
  const { trans, language, openMenu } = useDesk();
  const own = usePeople(state => state.me?.id === id);
  const login = user.last_login
    ? trans.__('logged in %1', age(user.last_login, language, Date.now()))
    : trans.__('never logged in');
  return (
    <li
      className="jx-Row jx-User"
      data-user={id}
      data-enabled={enabled}
      data-own={own}
      tabIndex={current ? 0 : -1}
      aria-label={enabled ? username : trans.__('%1, disabled', username)}
    >
      <div className="jx-Row-head">
        <span className="jx-Title jx-mod-strong" title={username}>
          {username}
        </span>
        {own && <span className="jx-Chip">{trans.__('you')}</span>}
        {!enabled && (
          <span className="jx-Status jx-mod-bad">{trans.__('disabled')}</span>
        )}
        <span className="jx-Row-actions">
          <IconButton
            icon={ellipsesIcon}
            label={trans.__('More for %1', username)}
            hasMenu
            onClick={openMenu}
          />
        </span>
      </div>
      <div className="jx-Row-line">
        <span
          className="jx-Row-minor"
          title={[role, login, user.email].filter(Boolean).join('\n')}
        >
          {[role, login, user.email].filter(Boolean).join(' · ')}
        </span>
      </div>
    </li>
  );
});
