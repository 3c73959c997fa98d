import { ISignal, Signal } from '@lumino/signaling';

import type {
  ApiKey,
  AuditEntry,
  AuditFilter,
  CreatedApiKey,
  Leaving,
  Me,
  NewApiKey,
  NewUser,
  Quota,
  User,
  UserChange
} from './people';
import type { PeopleApi } from './peopleapi';
import { ApiError } from './reply';
import type { Data, EventSocket } from './socket';

/** A part that is asked for: not yet there, there, or why it is not. */
export type Loaded<T> =
  | { readonly state: 'loading' }
  | { readonly state: 'there'; readonly value: T }
  | { readonly state: 'failed'; readonly reason: unknown };

export interface Audit {
  readonly entries: readonly AuditEntry[];
  /** Where the next page begins; null at the end. */
  readonly next: number | null;
}

/** All about people that the panel shows; each part is a new object when it changes. */
export interface People {
  readonly me: Me | null;
  readonly keys: Loaded<readonly ApiKey[]>;
  /** Null where the server tells of none. */
  readonly quotas: ReadonlyArray<readonly [string, Quota]> | null;
  /** Null for whoever may not look after users. */
  readonly users: ReadonlyMap<string, User> | null;
  /** Null where the server keeps none, or not for this user. */
  readonly audit: Loaded<Audit> | null;
  readonly auditFilter: AuditFilter;
}

const LOADING = { state: 'loading' } as const;
const INITIAL: People = {
  me: null,
  keys: LOADING,
  quotas: null,
  users: null,
  audit: null,
  auditFilter: { user: '', action: '' }
};

/** The tab's picture of people: users come by events, the rest when somebody looks. */
export class PeopleStore {
  constructor(readonly api: PeopleApi) {}

  /** Emitted after every change. */
  get changed(): ISignal<this, People> {
    return this._changed;
  }

  get state(): People {
    return this._state;
  }

  /** Subscribe in the way that React's `useSyncExternalStore` does. */
  readonly subscribe = (listener: () => void): (() => void) => {
    this._changed.connect(listener);
    return () => this._changed.disconnect(listener);
  };

  /** Hear of users from a socket; the server refuses whoever may not. */
  feed(socket: EventSocket): void {
    socket.stateChanged.connect((_, connection) => {
      if (connection === 'open') {
        void socket
          .request('auth')
          .then(({ user }) => this.set({ me: (user ?? null) as Me | null }))
          .catch(() => undefined);
      }
    });
    socket.follow({
      topic: 'users',
      onSnapshot: data => {
        const items = (data['items'] ?? []) as readonly User[];
        this.set({ users: new Map(items.map(user => [user.id, user])) });
      },
      onEvent: data => this.onUser(data),
      onRefused: () => this.set({ users: null })
    });
  }

  /** Ask anew for what concerns the caller. */
  async refresh(): Promise<void> {
    await Promise.all([this.refreshKeys(), this.refreshQuotas()]);
  }

  async refreshKeys(): Promise<void> {
    try {
      const me = await this.api.me();
      this.set({ me });
      const value = await this.api.keys(me.username);
      this.set({ keys: { state: 'there', value } });
    } catch (reason) {
      this.set({ keys: { state: 'failed', reason } });
    }
  }

  async refreshQuotas(): Promise<void> {
    try {
      this.set({ quotas: await this.api.quotas() });
    } catch {
      // A server without quotas, or none of the caller's: nothing to show.
      this.set({ quotas: null });
    }
  }

  async createKey(body: NewApiKey): Promise<CreatedApiKey> {
    const made = await this.api.createKey(body);
    void this.refreshKeys();
    return made;
  }

  async revokeKey(id: string): Promise<void> {
    await this.api.revokeKey(id);
    const { keys } = this._state;
    if (keys.state === 'there') {
      const value = keys.value.filter(key => key.id !== id);
      this.set({ keys: { state: 'there', value } });
    }
  }

  async createUser(body: NewUser): Promise<void> {
    this.putUser(await this.api.createUser(body));
  }

  async changeUser(id: string, change: UserChange): Promise<void> {
    this.putUser(await this.api.changeUser(id, change));
  }

  async deleteUser(id: string, leaving: Leaving): Promise<void> {
    await this.api.deleteUser(id, leaving);
    this.dropUser(id);
  }

  /** Ask for the newest entries of the audit that fit. */
  async refreshAudit(filter = this._state.auditFilter): Promise<void> {
    this.set({ auditFilter: filter });
    const asked = ++this._audits;
    try {
      const value = await this.api.audit(filter, null);
      if (asked === this._audits) {
        this.set({ audit: { state: 'there', value } });
      }
    } catch (reason) {
      if (asked !== this._audits) {
        return;
      }
      const none =
        reason instanceof ApiError && [403, 404].includes(reason.status);
      this.set({ audit: none ? null : { state: 'failed', reason } });
    }
  }

  /** Ask for the entries before those that are there. */
  async moreAudit(): Promise<void> {
    const { audit, auditFilter } = this._state;
    if (audit?.state !== 'there' || audit.value.next === null) {
      return;
    }
    const asked = this._audits;
    const { entries, next } = await this.api.audit(
      auditFilter,
      audit.value.next
    );
    if (asked === this._audits) {
      const all = [...audit.value.entries, ...entries];
      this.set({ audit: { state: 'there', value: { entries: all, next } } });
    }
  }

  private onUser(data: Data): void {
    if (data['event'] === 'removed') {
      this.dropUser(data['id'] as string);
    } else {
      this.putUser(data['user'] as User);
    }
  }

  private putUser(user: User): void {
    const { me, users } = this._state;
    if (users) {
      this.set({ users: new Map(users).set(user.id, user) });
    }
    if (me?.id === user.id) {
      this.set({ me: user });
    }
  }

  private dropUser(id: string): void {
    if (this._state.users) {
      const users = new Map(this._state.users);
      users.delete(id);
      this.set({ users });
    }
  }

  private set(change: Partial<People>): void {
    this._state = { ...this._state, ...change };
    this._changed.emit(this._state);
  }

  private _state = INITIAL;
  private _changed = new Signal<this, People>(this);
  private _audits = 0;
}
