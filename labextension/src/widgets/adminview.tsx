import type { IDisposable } from '@lumino/disposable';
import type { Message } from '@lumino/messaging';
import { AccordionPanel } from '@lumino/widgets';
import { addIcon, refreshIcon, SidePanel } from '@jupyterlab/ui-components';
import * as React from 'react';

import { isAdministrator } from '../model/people';
import { CommandIDs } from '../tokens';
import { AuditList } from '../view/AuditList';
import { Desk, DeskWidget } from '../view/desk';
import { DeviceList } from '../view/DeviceList';
import { ServiceList } from '../view/ServiceList';
import { UserList } from '../view/UserList';
import { section, titled } from './section';

/** What an administrator looks after: users, devices, and what was done. */
export class AdminView extends SidePanel {
  constructor(private readonly desk: Desk) {
    super();
    const { commands, devices, people, services, trans } = desk;
    const users = section(new DeskWidget(desk, () => <UserList />), {
      icon: addIcon,
      tooltip: trans.__('New user'),
      onClick: () => void commands.execute(CommandIDs.createUser)
    });
    const hosts = section(new DeskWidget(desk, () => <DeviceList />), {
      icon: addIcon,
      tooltip: trans.__('Add a device'),
      onClick: () => void commands.execute(CommandIDs.addDevice)
    });
    const rooms = section(new DeskWidget(desk, () => <ServiceList />), {
      icon: refreshIcon,
      tooltip: trans.__('Measure services now'),
      onClick: () => void services.refresh()
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
      // Who looks after users alone is told nothing of hosts.
      if (isAdministrator(state.me) && !hosts.parent) {
        this.insertWidget(1, hosts);
        this.insertWidget(2, rooms);
        this.share();
      } else if (!isAdministrator(state.me)) {
        hosts.parent = null;
        rooms.parent = null;
      }
      this.watch();
      if (state.audit && !audit.parent) {
        this.addWidget(audit);
        this.share();
      } else if (!state.audit) {
        audit.parent = null;
      }
    };
    const count = () => {
      hosts.title.label = titled(
        trans.__('Devices'),
        devices.state.items?.size
      );
      rooms.title.label = titled(
        trans.__('Services'),
        services.state.items?.size
      );
    };
    arrange();
    count();
    people.changed.connect(arrange, this);
    devices.changed.connect(count, this);
    services.changed.connect(count, this);
  }

  protected override onAfterShow(message: Message): void {
    super.onAfterShow(message);
    void this.desk.people.refreshAudit();
    this.watch();
  }

  protected override onBeforeHide(message: Message): void {
    super.onBeforeHide(message);
    this._watching?.dispose();
    this._watching = null;
  }

  /** Hear of the devices while an administrator can see them. */
  private watch(): void {
    const { devices, people } = this.desk;
    if (!isAdministrator(people.state.me)) {
      this._watching?.dispose();
      this._watching = null;
    } else if (this.isVisible) {
      this._watching ??= devices.follow();
    }
  }

  /** Give each section its part of the height, the devices most. */
  private share(): void {
    if (this.content instanceof AccordionPanel) {
      const { length } = this.content.widgets;
      const sizes = length > 3 ? [2, 4, 3, 2] : [2, 5, 3];
      this.content.setRelativeSizes(length > 2 ? sizes : [1, 1]);
    }
  }

  private _watching: IDisposable | null = null;
}
