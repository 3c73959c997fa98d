import { MainAreaWidget } from '@jupyterlab/apputils';
import { addIcon } from '@jupyterlab/ui-components';
import type { IDisposable } from '@lumino/disposable';
import type { Message } from '@lumino/messaging';
import * as React from 'react';

import { computeIcon, logsIcon } from '../icons';
import { LogFeed } from '../model/logfeed';
import type { EventSocket } from '../model/socket';
import { CreateForm } from '../view/CreateForm';
import { Desk, DeskWidget } from '../view/desk';
import { Details } from '../view/Details';
import { LogView } from '../view/LogView';

/** The container that a tab is about. */
export interface AboutContainer {
  readonly cid: number;
}

/** A container's name, or its number as long as the name is not known. */
export function nameOf(desk: Desk, cid: number): string {
  const container = desk.store.state.containers?.get(cid);
  return container?.name ?? desk.trans.__('container %1', cid);
}

/** Keep a tab's label at the container's name, which may be known only later. */
export function label(
  tab: MainAreaWidget,
  desk: Desk,
  cid: number,
  write: (name: string) => string
): void {
  let text = '';
  const relabel = () => {
    // A container that is deleted keeps its name here.
    if (!text || desk.store.state.containers?.has(cid)) {
      text = write(nameOf(desk, cid));
    }
    tab.title.label = text;
  };
  relabel();
  desk.store.changed.connect(relabel);
  // A terminal calls itself "Terminal …" whenever it connects.
  tab.content.title.changed.connect(relabel);
  tab.disposed.connect(() => desk.store.changed.disconnect(relabel));
}

/** A container's output in a tab of the main area. */
export class LogsTab extends MainAreaWidget<DeskWidget> {
  constructor(desk: Desk, socket: EventSocket, cid: number, tail: number) {
    const { store, trans } = desk;
    const feed = new LogFeed(socket, store, cid, tail, {
      ended: trans.__('The container has stopped.'),
      refused: why => trans.__('No output: %1', why)
    });
    super({
      content: new DeskWidget(desk, () => (
        <LogView feed={feed} name={nameOf(desk, cid)} />
      ))
    });
    this.id = `jupyter-ext-logs-${cid}`;
    this.cid = cid;
    this.title.icon = logsIcon;
    this.title.closable = true;
    label(this, desk, cid, name => trans.__('%1 – logs', name));
    this.disposed.connect(() => feed.dispose());
  }

  readonly cid: number;
}

/** Everything about a container in a tab of the main area. */
export class DetailsTab extends MainAreaWidget<DeskWidget> {
  constructor(
    private readonly desk: Desk,
    readonly cid: number
  ) {
    super({ content: new DeskWidget(desk, () => <Details cid={cid} />) });
    this.id = `jupyter-ext-details-${cid}`;
    this.title.icon = computeIcon;
    this.title.closable = true;
    label(this, desk, cid, name => name);
  }

  protected override onAfterShow(message: Message): void {
    super.onAfterShow(message);
    this._measuring ??= this.desk.store.measure();
  }

  protected override onAfterHide(message: Message): void {
    super.onAfterHide(message);
    this.stop();
  }

  override dispose(): void {
    this.stop();
    super.dispose();
  }

  private stop(): void {
    this._measuring?.dispose();
    this._measuring = null;
  }

  private _measuring: IDisposable | null = null;
}

/** The form of a new container in a tab of the main area. */
export class CreateTab extends MainAreaWidget<DeskWidget> {
  constructor(
    desk: Desk,
    image: string,
    browse: (() => Promise<string | null>) | null
  ) {
    super({
      content: new DeskWidget(desk, () => (
        <CreateForm
          image={image}
          browse={browse}
          onClose={() => this.dispose()}
        />
      ))
    });
    this.id = 'jupyter-ext-create';
    this.title.icon = addIcon;
    this.title.label = desk.trans.__('New container');
    this.title.closable = true;
  }
}
