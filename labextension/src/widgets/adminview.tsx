import type { Message } from '@lumino/messaging';
import { addIcon, refreshIcon, SidePanel } from '@jupyterlab/ui-components';
import * as React from 'react';

import { CommandIDs } from '../tokens';
import { AuditList } from '../view/AuditList';
import { Desk, DeskWidget } from '../view/desk';
import { UserList } from '../view/UserList';
import { section, titled } from './section';

/** What an administrator looks after: users, and what they did. */
export class AdminView extends SidePanel {
  constructor(private readonly desk: Desk) {
    super();
    const { commands, people, trans } = desk;
    const users = section(new DeskWidget(desk, () => <UserList />), {
      icon: addIcon,
      tooltip: trans.__('New user'),
      onClick: () => void commands.execute(CommandIDs.createUser)
    });
    const audit = section(new DeskWidget(desk, () => <AuditList />), {
      icon: refreshIcon,
      tooltip: trans.__('Load the newest entries'),
      onClick: () => void people.refreshAudit()
    });
    audit.title.label = trans.__('Audit');
    this.addWidget(users);
    const arrange = () => {
      const { state } = people;
      users.title.label = titled(trans.__('Users'), state.users?.size);
      if (state.audit && !audit.parent) {
        this.addWidget(audit);
      } else if (!state.audit) {
        audit.parent = null;
      }
    };
    arrange();
    people.changed.connect(arrange, this);
  }

  protected override onAfterShow(message: Message): void {
    super.onAfterShow(message);
    void this.desk.people.refreshAudit();
  }
}
