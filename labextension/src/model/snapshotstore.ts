import type { Api } from './api';
import { ListStore } from './liststore';
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

/** What came of a request: its operation, or its result where it had ended already. */
export interface Begun<T> {
  readonly operation: Operation | null;
  readonly result: T | null;
}

/** The tab's picture of the caller's snapshots, newest first, and what they do with them. */
export class SnapshotStore extends ListStore<Snapshot> {
  constructor(
    api: Api,
    socket: EventSocket,
    private readonly store: Store
  ) {
    super(api, socket);
  }

  /** Begin to take a snapshot. */
  create(body: NewSnapshot): Promise<Begun<Snapshot>> {
    return this.begun(this.api.begin<Snapshot>('POST', 'snapshots', body));
  }

  /** Begin to restore parts of one. */
  restore(
    name: string,
    parts: readonly string[]
  ): Promise<Begun<RestoredSnapshot>> {
    const path = `${pathOf(name)}/restore`;
    return this.begun(
      this.api.begin<RestoredSnapshot>('POST', path, { parts })
    );
  }

  /** Begin to delete one. */
  remove(name: string): Promise<Begun<DeletedSnapshot>> {
    return this.begun(this.api.begin<DeletedSnapshot>('DELETE', pathOf(name)));
  }

  protected readonly topic = 'snapshots';

  protected keyOf({ name }: Snapshot): string {
    return name;
  }

  protected heed(): void {
    // A restore brings a second one along: that of what was there before.
    this.lookAgain();
  }

  private async begun<T>(call: Promise<Outcome<T>>): Promise<Begun<T>> {
    const outcome = await call;
    if (outcome.done) {
      this.lookAgain();
      return { operation: null, result: outcome.data };
    }
    this.store.putOperation(outcome.operation);
    return { operation: outcome.operation, result: null };
  }
}

function pathOf(name: string): string {
  return `snapshots/${encodeURIComponent(name)}`;
}
