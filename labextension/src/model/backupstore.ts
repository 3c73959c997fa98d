import type { IDisposable } from '@lumino/disposable';
import { ISignal, Signal } from '@lumino/signaling';

import type { Api } from './api';
import type { Backup, NewBackup, NewRestore, Restore } from './backups';
import type { Refusal } from './databasestore';
import { ApiError, Outcome } from './reply';
import type { EventSocket } from './socket';
import type { Store } from './store';
import type { Operation } from './types';

export interface Backups {
  /** By id; null until somebody looks at them. */
  readonly items: ReadonlyMap<string, Backup> | null;
  readonly refusal: Refusal | null;
}

/** The tab's picture of the backups, and what a person does with them. */
export class BackupStore {
  constructor(
    private readonly api: Api,
    private readonly socket: EventSocket,
    private readonly store: Store,
    /** Called when databases are others than before: those that were kept are new. */
    private readonly onRestored: () => void = () => undefined
  ) {}

  /** Emitted after every change. */
  get changed(): ISignal<this, Backups> {
    return this._changed;
  }

  get state(): Backups {
    return this._state;
  }

  /** Subscribe in the way that React's `useSyncExternalStore` does. */
  readonly subscribe = (listener: () => void): (() => void) => {
    this._changed.connect(listener);
    return () => this._changed.disconnect(listener);
  };

  /** Hear of the backups until the returned handle is disposed. */
  follow(): IDisposable {
    return this.socket.follow({
      topic: 'backups',
      onSnapshot: data => this.list(data['items'] as readonly Backup[]),
      // Whatever happens moves the windows of all of them.
      onEvent: data => {
        void this.refresh();
        if (data['event'] === 'restored') {
          this.onRestored();
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

  /** Ask how far the archive reaches by now. */
  async refresh(): Promise<void> {
    const { backups } = await this.api.ask<{ backups: readonly Backup[] }>(
      'GET',
      'backups',
      { limit: '10000' }
    );
    this.list(backups);
  }

  /** Begin to take a backup. */
  async create(wish: NewBackup): Promise<Operation | null> {
    return this.begin(await this.api.begin<Backup>('POST', 'backups', wish));
  }

  /** Begin to test a backup. */
  async verify(id: string): Promise<Operation | null> {
    const path = `${pathOf(id)}/verify`;
    return this.begin(await this.api.begin<Backup>('POST', path));
  }

  async remove(id: string): Promise<void> {
    await this.api.ask('DELETE', pathOf(id));
    const items = new Map(this._state.items ?? []);
    if (items.delete(id)) {
      this.set({ ...this._state, items });
    }
  }

  /** Tell what a restore would do. */
  plan(id: string, wish: NewRestore): Promise<Restore> {
    const body = { ...wish, dry_run: true };
    return this.api.ask('POST', `${pathOf(id)}/restore`, {}, body);
  }

  /** Begin to restore. */
  async restore(id: string, wish: NewRestore): Promise<Operation | null> {
    const path = `${pathOf(id)}/restore`;
    return this.begin(await this.api.begin<Restore>('POST', path, wish));
  }

  private begin(outcome: Outcome<unknown>): Operation | null {
    if (outcome.done) {
      void this.refresh();
      return null;
    }
    this.store.putOperation(outcome.operation);
    return outcome.operation;
  }

  private list(all: readonly Backup[]): void {
    const items = new Map(all.map(backup => [backup.id, backup]));
    this.set({ items, refusal: null });
  }

  private set(state: Backups): void {
    this._state = state;
    this._changed.emit(state);
  }

  private _state: Backups = { items: null, refusal: null };
  private _changed = new Signal<this, Backups>(this);
}

/** What is wrong with a restore that can't be, in one text. */
export function restoreProblem(reason: ApiError): string {
  const told = reason.problems.map(({ message }) => message).join(' ');
  return told || reason.message;
}

function pathOf(id: string): string {
  return `backups/${encodeURIComponent(id)}`;
}
