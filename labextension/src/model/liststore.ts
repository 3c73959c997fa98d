import type { IDisposable } from '@lumino/disposable';
import { ISignal, Signal } from '@lumino/signaling';

import type { Api } from './api';
import type { Data, EventSocket } from './socket';

/** Why the server lists nothing. */
export interface Refusal {
  readonly what: string;
  readonly cure: string;
}

export interface Listed<Item, Key = string> {
  /** In the server's order; null until somebody looks at them, and where they are refused. */
  readonly items: ReadonlyMap<Key, Item> | null;
  readonly refusal: Refusal | null;
}

/** More than anybody has. */
export const MOST = '10000';

/** The tab's picture of a list of the server's, which a topic of the same name keeps up to date. */
export abstract class ListStore<Item, Key = string> {
  constructor(
    protected readonly api: Api,
    private readonly socket: EventSocket
  ) {}

  /** Emitted after every change. */
  get changed(): ISignal<this, Listed<Item, Key>> {
    return this._changed;
  }

  get state(): Listed<Item, Key> {
    return this._state;
  }

  /** Subscribe in the way that React's `useSyncExternalStore` does. */
  readonly subscribe = (listener: () => void): (() => void) => {
    this._changed.connect(listener);
    return () => this._changed.disconnect(listener);
  };

  /** Hear of them until the returned handle is disposed. */
  follow(): IDisposable {
    return this.socket.follow({
      topic: this.topic,
      onSnapshot: data => this.begin(data),
      onEvent: data => this.heed(data),
      onRefused: reason => {
        const { what, cure } = reason.details as Partial<Refusal>;
        const refusal = { what: what ?? reason.message, cure: cure ?? '' };
        this.set({ items: null, refusal });
      }
    });
  }

  /** Look again, for instance at a server that was not running. */
  retry(): void {
    this.set({ items: null, refusal: null });
    this.socket.retryRefused();
  }

  /** Ask for all of them as they are now. */
  async refresh(
    query: Record<string, string> = { limit: MOST }
  ): Promise<void> {
    const turn = ++this._asked;
    const found = await this.api.ask<Record<string, readonly Item[]>>(
      'GET',
      this.topic,
      query
    );
    // Replies overtake each other: one that was asked for earlier is older.
    if (turn > this._listed) {
      this.list(found[this.topic] ?? [], turn);
    }
  }

  /** The topic, which is also what the server's routes and replies call them. */
  protected abstract readonly topic: string;

  protected abstract keyOf(item: Item): Key;

  /** Take an event. */
  protected abstract heed(data: Data): void;

  /** Take what the server tells of them when it is followed. */
  protected begin(data: Data): void {
    this.list(data['items'] as readonly Item[]);
  }

  /** Ask anew after an event; what is wrong then is told by whatever is asked next. */
  protected lookAgain(): void {
    void this.refresh().catch(() => undefined);
  }

  protected list(all: readonly Item[], turn = ++this._asked): void {
    this._listed = turn;
    const items = new Map(all.map(item => [this.keyOf(item), item]));
    this.set({ items, refusal: null });
  }

  /** Take one that a reply brought, ahead of its event. */
  protected put(item: Item): void {
    // A list that was refused holds nothing; the first one that was made ends that.
    const items = new Map(this._state.items ?? []);
    this.set({ items: items.set(this.keyOf(item), item), refusal: null });
  }

  protected drop(key: Key): void {
    const items = new Map(this._state.items ?? []);
    if (items.delete(key)) {
      this.set({ ...this._state, items });
    }
  }

  private set(state: Listed<Item, Key>): void {
    this._state = state;
    this._changed.emit(state);
  }

  /** Questions that were asked, and which of them the list answers. */
  private _asked = 0;
  private _listed = 0;
  private _state: Listed<Item, Key> = { items: null, refusal: null };
  private _changed = new Signal<this, Listed<Item, Key>>(this);
}
