import { Panel, Widget } from '@lumino/widgets';
import * as React from 'react';

import { computeIcon } from '../icons';
import { Desk, DeskWidget } from '../view/desk';
import { ViewName, ViewSwitch } from '../view/ViewSwitch';
import { AccountView } from './accountview';
import { AdminView } from './adminview';
import { ComputeView } from './computeview';
import { DataView } from './dataview';

/** The side bar's panel: what runs, databases, the reader's account, and what administrators look after. */
export class ComputePanel extends Panel {
  constructor(private readonly desk: Desk) {
    super();
    const { people, store, trans } = desk;
    this.id = 'jupyter-ext-compute';
    this.addClass('jx-Panel');
    this.title.icon = computeIcon;
    this.title.caption = trans.__('Compute');
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', trans.__('Compute'));
    this._views = {
      compute: new ComputeView(desk),
      data: new DataView(desk),
      account: new AccountView(desk),
      admin: new AdminView(desk)
    };
    this._switch = new DeskWidget(desk, () => (
      <ViewSwitch
        views={this.offered()}
        shown={this._shown}
        onChoose={view => this.choose(view)}
      />
    ));
    this._switch.addClass('jx-Switch-widget');
    this.addWidget(this._switch);
    for (const view of Object.values(this._views)) {
      this.addWidget(view);
    }
    this.choose('compute');
    people.changed.connect(this.offer, this);
    store.changed.connect(this.offer, this);
  }

  /** Show one of the views. */
  choose(view: ViewName): void {
    this._shown = view;
    for (const [name, widget] of Object.entries(this._views)) {
      widget.setHidden(name !== view);
    }
    this._switch.update();
  }

  private offered(): readonly ViewName[] {
    return this.desk.people.state.users
      ? ['compute', 'data', 'account', 'admin']
      : ['compute', 'data', 'account'];
  }

  /** Administrators may become others, and others administrators. */
  private offer(): void {
    const { missing } = this.desk.store.state;
    this._switch.setHidden(missing);
    if (missing || !this.offered().includes(this._shown)) {
      if (this._shown !== 'compute') {
        this.choose('compute');
      }
    }
    const count = this.offered().length;
    if (count !== this._count) {
      this._count = count;
      this._switch.update();
    }
  }

  private readonly _views: Readonly<Record<ViewName, Widget>>;
  private readonly _switch: DeskWidget;
  private _shown: ViewName = 'compute';
  private _count = 0;
}
