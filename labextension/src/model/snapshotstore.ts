import type { IDisposable } from '@lumino/disposable';
import { ISignal, Signal } from '@lumino/signaling';

import type { Api } from './api';
import type { Refusal } from './databasestore';
import type { Outcome } from './reply';
import type {
  DeletedSnapshot,
  NewSnapshot,
  RestoredSnapshot,
  Snapshot
} from './snapshots';
import type { EventSocket } from './socket';
import type { Store } from './store';
import type { Operation } from './types';

export interface Snapshots {
  /** By name, newest first; null until somebody looks at them. */
  readonly items: ReadonlyMap<string, Snapshot> | null;
  readonly refusal: Refusal | null;
}

/** What came of a request: its operation, or its result where it had ended already. */
export interface Begun<T> {
  readonly operation: Operation | null;
  readonly result: T | null;
}

/** The tab's picture of the caller's snapshots, and what they do with them. */
export class SnapshotStore {
  constructor(
    private readonly api: Api,
    private readonly socket: EventSocket,
    private readonly store: Store
  ) {}

  /** Emitted after every change. */
  get changed(): ISignal<this, Snapshots> {
    return this._changed;
  }

  get state(): Snapshots {
    return this._state;
  }

  /** Subscribe in the way that React's `useSyncExternalStore` does. */
  readonly subscribe = (listener: () => void): (() => void) => {
    this._changed.connect(listener);
    return () => this._changed.disconnect(listener);
  };

  /** Hear of the snapshots until the returned handle is disposed. */
  follow(): IDisposable {
    return this.socket.follow({
      topic: 'snapshots',
      onSnapshot: data => this.list(data['items'] as readonly Snapshot[]),
      // A restore brings a second one along: that of what was there before.
      onEvent: () => void this.refresh().catch(() => undefined),
      onRefused: reason => {
        const { what, cure } = reason.details as Partial<Refusal>;
        const refusal = { what: what ?? reason.message, cure: cure ?? '' };
        this.set({ items: null, refusal });
      }
    });
  }

  /** Look again, for instance at a server that was not ready. */
  retry(): void {
    this.set({ items: null, refusal: null });
    this.socket.retryRefused();
  }

  /** Ask what there is, and what of it can still be restored. */
  async refresh(): Promise<void> {
    const { snapshots } = await this.api.ask<{
      snapshots: readonly Snapshot[];
    }>('GET', 'snapshots', { limit: '10000' });
    this.list(snapshots);
  }

  /** Begin to take a snapshot. */
  create(body: NewSnapshot): Promise<Begun<Snapshot>> {
    return this.begin(this.api.begin<Snapshot>('POST', 'snapshots', body));
  }

  /** Begin to restore parts of one. */
  restore(
    name: string,
    parts: readonly string[]
  ): Promise<Begun<RestoredSnapshot>> {
    const path = `${pathOf(name)}/restore`;
    return this.begin(
      this.api.begin<RestoredSnapshot>('POST', path, { parts })
    );
  }

  /** Begin to delete one. */
  remove(name: string): Promise<Begun<DeletedSnapshot>> {
    return this.begin(this.api.begin<DeletedSnapshot>('DELETE', pathOf(name)));
  }

  private async begin<T>(call: Promise<Outcome<T>>): Promise<Begun<T>> {
    const outcome = await call;
    if (outcome.done) {
      void this.refresh().catch(() => undefined);
      return { operation: null, result: outcome.data };
    }
    this.store.putOperation(outcome.operation);
    return { operation: outcome.operation, result: null };
  }

  private list(all: readonly Snapshot[]): void {
    const items = new Map(all.map(snapshot => [snapshot.name, snapshot]));
    this.set({ items, refusal: null });
  }

  private set(state: Snapshots): void {
    this._state = state;
    this._changed.emit(state);
  }

  private _state: Snapshots = { items: null, refusal: null };
  private _changed = new Signal<this, Snapshots>(this);
}

function pathOf(name: string): string {
  return `snapshots/${encodeURIComponent(name)}`;
}
