import type { Message } from '@lumino/messaging';
import { AccordionPanel, Panel } from '@lumino/widgets';
import { addIcon, SidePanel } from '@jupyterlab/ui-components';
import * as React from 'react';

import { CommandIDs } from '../tokens';
import { Desk, DeskWidget } from '../view/desk';
import { KeyList } from '../view/KeyList';
import { isTelling, Quotas } from '../view/Quotas';
import { Who } from '../view/Who';
import { section, titled } from './section';

/** Who the reader is, what they may use, and their API keys. */
export class AccountView extends Panel {
  constructor(private readonly desk: Desk) {
    super();
    const { commands, people, store, trans } = desk;
    this.addClass('jx-View');
    const who = new DeskWidget(desk, () => <Who />);
    const lists = new SidePanel();
    const quotas = section(new DeskWidget(desk, () => <Quotas />));
    quotas.title.label = trans.__('Limits');
    const keys = section(new DeskWidget(desk, () => <KeyList />), {
      icon: addIcon,
      tooltip: trans.__('New API key'),
      onClick: () => void commands.execute(CommandIDs.createKey)
    });
    lists.addWidget(keys);
    this.addWidget(who);
    this.addWidget(lists);

    const arrange = () => {
      const { state } = people;
      const count = state.keys.state === 'there' ? state.keys.value.length : 0;
      keys.title.label = titled(trans.__('API keys'), count);
      const telling = state.quotas?.some(isTelling) ?? false;
      if (telling && !quotas.parent) {
        lists.insertWidget(0, quotas);
        if (lists.content instanceof AccordionPanel) {
          lists.content.setRelativeSizes([2, 3]);
        }
      } else if (!telling) {
        quotas.parent = null;
      }
    };
    arrange();
    people.changed.connect(arrange, this);
    // What is used changes with the containers.
    store.changed.connect(() => {
      const { containers } = store.state;
      if (containers !== this._containers) {
        this._containers = containers;
        if (this.isVisible) {
          clearTimeout(this._timer);
          this._timer = setTimeout(() => void people.refreshQuotas(), 500);
        }
      }
    }, this);
  }

  protected override onAfterShow(message: Message): void {
    super.onAfterShow(message);
    void this.desk.people.refresh();
  }

  private _containers: unknown = null;
  private _timer: ReturnType<typeof setTimeout> | undefined;
}
