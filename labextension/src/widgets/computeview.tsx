import type { IDisposable } from '@lumino/disposable';
import type { Message } from '@lumino/messaging';
import { AccordionPanel } from '@lumino/widgets';
import { addIcon, SidePanel } from '@jupyterlab/ui-components';
import * as React from 'react';

import { pullIcon } from '../icons';
import { CommandIDs } from '../tokens';
import { ContainerList } from '../view/ContainerList';
import { Desk, DeskWidget } from '../view/desk';
import { GpuList } from '../view/GpuList';
import { ImageList } from '../view/ImageList';
import { section, titled } from './section';

/** Containers above, images below, GPUs between them where there are any. */
export class ComputeView extends SidePanel {
  constructor(private readonly desk: Desk) {
    super();
    const { commands, store, trans } = desk;
    const containers = section(new DeskWidget(desk, () => <ContainerList />), {
      icon: addIcon,
      tooltip: trans.__('New container'),
      onClick: () => void commands.execute(CommandIDs.create)
    });
    const images = section(new DeskWidget(desk, () => <ImageList />), {
      icon: pullIcon,
      tooltip: trans.__('Pull an image'),
      onClick: () => void commands.execute(CommandIDs.pull)
    });
    const gpus = section(new DeskWidget(desk, () => <GpuList />));
    const count = () => {
      const { state } = store;
      containers.title.label = titled(
        trans.__('Containers'),
        state.containers?.size
      );
      images.title.label = titled(trans.__('Images'), state.images?.size);
      gpus.title.label = titled(trans.__('GPUs'), state.gpus.length);
      // Most machines have none.
      if (state.gpus.length && gpus.parent === null) {
        this.insertWidget(1, gpus);
        this.share();
      }
    };
    count();
    store.changed.connect(count, this);
    this.addWidget(containers);
    this.addWidget(images);
  }

  protected override onAfterAttach(message: Message): void {
    super.onAfterAttach(message);
    this.share();
  }

  /** Give each section its part of the height, the containers most. */
  private share(): void {
    if (this.content instanceof AccordionPanel) {
      const { length } = this.content.widgets;
      this.content.setRelativeSizes(length > 2 ? [4, 3, 3] : [3, 2]);
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
