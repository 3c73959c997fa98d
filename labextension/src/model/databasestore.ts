import type { IDisposable } from '@lumino/disposable';
import { ISignal, Signal } from '@lumino/signaling';

import type { Api } from './api';
import type { Database, DatabaseConnection, NewDatabase } from './databases';
import { ApiError, Outcome } from './reply';
import type { EventSocket } from './socket';
import type { Store } from './store';
import type { Operation } from './types';

/** Why the server lists no databases. */
export interface Refusal {
  readonly what: string;
  readonly cure: string;
}

export interface Databases {
  /** By name; null until somebody looks at them. */
  readonly items: ReadonlyMap<string, Database> | null;
  readonly refusal: Refusal | null;
}

const MOST = '10000';

/** The tab's picture of the databases, and what a person does with them. */
export class DatabaseStore {
  constructor(
    private readonly api: Api,
    private readonly socket: EventSocket,
    private readonly store: Store
  ) {}

  /** Emitted after every change. */
  get changed(): ISignal<this, Databases> {
    return this._changed;
  }

  get state(): Databases {
    return this._state;
  }

  /** Subscribe in the way that React's `useSyncExternalStore` does. */
  readonly subscribe = (listener: () => void): (() => void) => {
    this._changed.connect(listener);
    return () => this._changed.disconnect(listener);
  };

  /** Hear of the databases until the returned handle is disposed. */
  follow(): IDisposable {
    return this.socket.follow({
      topic: 'databases',
      onSnapshot: data => this.list(data['items'] as readonly Database[]),
      onEvent: data => {
        const name = data['name'] as string;
        if (data['event'] === 'deleted') {
          this.drop(name);
        } else {
          void this.fetch(name);
        }
      },
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

  /** Measure how large all of them are now. */
  async measure(): Promise<void> {
    const { databases } = await this.api.ask<{
      databases: readonly Database[];
    }>('GET', 'databases', { fresh: 'true', limit: MOST });
    this.list(databases);
  }

  /** How the caller gets into a database: with the password, so nothing keeps it. */
  async connectionUrl(name: string): Promise<string> {
    const { url } = await this.api.ask<DatabaseConnection>(
      'GET',
      `${pathOf(name)}/connection`
    );
    return url;
  }

  /** Begin to make a database; null where it is there already. */
  async create(body: NewDatabase): Promise<Operation | null> {
    return this.begin(await this.api.createDatabase(body));
  }

  /** Begin to make a database with the content of another; null where it is there already. */
  async clone(
    source: string,
    name: string,
    schemaOnly: boolean
  ): Promise<Operation | null> {
    const body = { name, schema_only: schemaOnly };
    return this.begin(await this.api.cloneDatabase(pathOf(source), body));
  }

  /**
   * Delete a database.
   *
   * @param force - Also where somebody is in it, whose session ends.
   */
  async remove(name: string, force: boolean): Promise<void> {
    const query: Record<string, string> = force ? { force: 'true' } : {};
    await this.api.ask('DELETE', pathOf(name), query);
    this.drop(name);
  }

  private begin(outcome: Outcome<Database>): Operation | null {
    if (outcome.done) {
      this.put(outcome.data);
      return null;
    }
    this.store.putOperation(outcome.operation);
    return outcome.operation;
  }

  private async fetch(name: string): Promise<void> {
    try {
      this.put(await this.api.ask<Database>('GET', pathOf(name)));
    } catch (reason) {
      // It may be gone again by now; what else is wrong is told by whatever is asked next.
      if (!(reason instanceof ApiError)) {
        throw reason;
      }
    }
  }

  private list(all: readonly Database[]): void {
    const items = new Map(all.map(database => [database.name, database]));
    this.set({ items, refusal: null });
  }

  private put(database: Database): void {
    // A list that was refused holds nothing; the first one that was made ends that.
    const items = new Map(this._state.items ?? []);
    this.set({ items: items.set(database.name, database), refusal: null });
  }

  private drop(name: string): void {
    const items = new Map(this._state.items ?? []);
    if (items.delete(name)) {
      this.set({ ...this._state, items });
    }
  }

  private set(state: Databases): void {
    this._state = state;
    this._changed.emit(state);
  }

  private _state: Databases = { items: null, refusal: null };
  private _changed = new Signal<this, Databases>(this);
}

/** The path of a database, whose name may hold anything. */
function pathOf(name: string): string {
  return `databases/${encodeURIComponent(name)}`;
}
