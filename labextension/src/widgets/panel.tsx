import type { IDisposable } from '@lumino/disposable';
import type { Message } from '@lumino/messaging';
import { AccordionPanel } from '@lumino/widgets';
import {
  addIcon,
  PanelWithToolbar,
  SidePanel,
  ToolbarButton
} from '@jupyterlab/ui-components';
import * as React from 'react';

import { computeIcon, pullIcon } from '../icons';
import { CommandIDs } from '../tokens';
import { ContainerList } from '../view/ContainerList';
import { Desk, DeskWidget } from '../view/desk';
import { ImageList } from '../view/ImageList';

/** The side bar's panel: containers above, images below. */
export class ComputePanel extends SidePanel {
  constructor(private readonly desk: Desk) {
    super();
    const { commands, store, trans } = desk;
    this.id = 'jupyter-ext-compute';
    this.addClass('jx-Panel');
    this.title.icon = computeIcon;
    this.title.caption = trans.__('Compute');
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', trans.__('Compute'));

    const containers = section(new DeskWidget(desk, () => <ContainerList />));
    containers.toolbar.addItem(
      'create',
      new ToolbarButton({
        icon: addIcon,
        tooltip: trans.__('New container'),
        onClick: () => void commands.execute(CommandIDs.create)
      })
    );
    const images = section(new DeskWidget(desk, () => <ImageList />));
    images.toolbar.addItem(
      'pull',
      new ToolbarButton({
        icon: pullIcon,
        tooltip: trans.__('Pull an image'),
        onClick: () => void commands.execute(CommandIDs.pull)
      })
    );
    const count = () => {
      const { state } = store;
      containers.title.label = titled(
        trans.__('Containers'),
        state.containers?.size
      );
      images.title.label = titled(trans.__('Images'), state.images?.size);
    };
    count();
    store.changed.connect(count, this);
    this.addWidget(containers);
    this.addWidget(images);
  }

  protected override onAfterAttach(message: Message): void {
    super.onAfterAttach(message);
    if (this.content instanceof AccordionPanel) {
      this.content.setRelativeSizes([3, 2]);
    }
  }

  /** Containers are measured only while somebody can see it. */
  protected override onAfterShow(message: Message): void {
    super.onAfterShow(message);
    this._measuring ??= this.desk.store.measure();
  }

  protected override onBeforeHide(message: Message): void {
    super.onBeforeHide(message);
    this._measuring?.dispose();
    this._measuring = null;
  }

  private _measuring: IDisposable | null = null;
}

function section(widget: DeskWidget): PanelWithToolbar {
  const panel = new PanelWithToolbar();
  panel.addClass('jx-Panel-section');
  panel.addWidget(widget);
  return panel;
}

function titled(name: string, count: number | undefined): string {
  return count ? `${name} (${count})` : name;
}
