import { DisposableDelegate, IDisposable } from '@lumino/disposable';
import { ISignal, Signal } from '@lumino/signaling';

import { EMPTY_SERIES, extend, Series } from './series';
import type { ConnectionState, Data, EventSocket } from './socket';
import {
  Container,
  Engine,
  Gpu,
  hasEnded,
  Image,
  Operation,
  Sample
} from './types';

/** What is being done to a container at this tab's request, until it is done. */
export type Deed = 'starting' | 'stopping' | 'restarting' | 'deleting';

/** Everything that the panel shows; each part is a new object when it changes. */
export interface State {
  readonly connection: ConnectionState;
  /** The server answers, and has no such extension. */
  readonly missing: boolean;
  readonly username: string;
  readonly engine: Engine | null;
  /** Folders of the host below which the caller's containers may have theirs. */
  readonly mountRoots: readonly string[];
  readonly containers: ReadonlyMap<number, Container> | null;
  readonly images: ReadonlyMap<string, Image> | null;
  readonly gpus: readonly Gpu[];
  /** How many wait for a GPU. */
  readonly waiting: number;
  readonly operations: ReadonlyMap<string, Operation>;
  /** Operations under way, and failed ones that nobody has read yet; oldest first. */
  readonly current: readonly Operation[];
  readonly deeds: ReadonlyMap<number, Deed>;
  readonly series: ReadonlyMap<number, Series>;
  /** Since when the engine has been silent and the containers are as they were then. */
  readonly staleSince: string | null;
}

const INITIAL: State = {
  connection: 'connecting',
  missing: false,
  username: '',
  engine: null,
  mountRoots: [],
  containers: null,
  images: null,
  gpus: [],
  waiting: 0,
  operations: new Map(),
  current: [],
  deeds: new Map(),
  series: new Map(),
  staleSince: null
};

const MOST_OPERATIONS = 50;

/** The tab's one picture of the system, drawn by the event stream and shown by components. */
export class Store {
  /** Emitted after every change. */
  get changed(): ISignal<this, State> {
    return this._changed;
  }

  get state(): State {
    return this._state;
  }

  /** Subscribe in the way that React's `useSyncExternalStore` does. */
  readonly subscribe = (listener: () => void): (() => void) => {
    this._changed.connect(listener);
    return () => this._changed.disconnect(listener);
  };

  /** Feed the store from a socket for as long as both live. */
  feed(socket: EventSocket): void {
    this._socket = socket;
    socket.stateChanged.connect((_, connection) => {
      this.set({ connection });
      if (connection === 'open') {
        this.set({ missing: false });
        void socket
          .request('auth')
          .then(({ user }) => {
            const username = (user as { username?: string } | undefined)
              ?.username;
            this.set({ username: username ?? '' });
          })
          .catch(() => undefined);
      }
    });
    socket.follow({
      topic: 'engine',
      onSnapshot: data => {
        const roots = data['mount_roots'] as readonly string[] | undefined;
        this.set({ mountRoots: roots ?? [] });
        this.onEngine(data);
      },
      onEvent: data => this.onEngine(data)
    });
    socket.follow({
      topic: 'containers',
      onSnapshot: data => this.onContainers(data),
      onEvent: data => this.onContainer(data)
    });
    socket.follow({
      topic: 'images',
      onSnapshot: data => {
        const items = data['items'] as readonly Image[];
        this.set({ images: new Map(items.map(image => [image.id, image])) });
      },
      onEvent: data => this.onImage(data)
    });
    socket.follow({
      topic: 'gpus',
      onSnapshot: data => this.onGpus(data),
      onEvent: data => this.onGpus(data)
    });
    socket.follow({
      topic: 'operations',
      onSnapshot: data => this.onOperations(data['items'] as Operation[]),
      onEvent: data => this.onOperations([data as unknown as Operation])
    });
  }

  /** Have every container measured while somebody looks. */
  measure(): IDisposable {
    this._watchers += 1;
    this._measuring ??=
      this._socket?.follow({
        topic: 'container-stats',
        onSnapshot: data => this.onHistory(data),
        onEvent: data => this.onSamples(data)
      }) ?? null;
    return new DisposableDelegate(() => {
      this._watchers -= 1;
      if (this._watchers === 0) {
        this._measuring?.dispose();
        this._measuring = null;
      }
    });
  }

  setMissing(): void {
    this.set({ missing: true });
  }

  /** Show a deed at a container until the returned handle is disposed. */
  begin(cid: number, deed: Deed): IDisposable {
    this.set({ deeds: new Map(this._state.deeds).set(cid, deed) });
    return new DisposableDelegate(() => {
      const deeds = new Map(this._state.deeds);
      deeds.delete(cid);
      this.set({ deeds });
    });
  }

  /** Take a container that a reply brought, ahead of its event. */
  putContainer(container: Container): void {
    const containers = this._state.containers ?? new Map<number, Container>();
    this.set({
      containers: new Map(containers).set(container.cid, container)
    });
  }

  dropContainer(cid: number): void {
    const containers = new Map(this._state.containers ?? []);
    const series = new Map(this._state.series);
    containers.delete(cid);
    series.delete(cid);
    this.set({ containers, series });
  }

  putOperation(operation: Operation): void {
    const known = this._state.operations.get(operation.id);
    // A reply may be older than the events that overtook it.
    if (!known || !hasEnded(known)) {
      this.onOperations([operation]);
    }
  }

  /** Take an ended operation off the panel. */
  dismiss(id: string): void {
    this._dismissed.add(id);
    this.onOperations([]);
  }

  /** Wait for an operation's end. */
  ended(id: string): Promise<Operation> {
    return new Promise(resolve => {
      const look = () => {
        const operation = this._state.operations.get(id);
        if (operation && hasEnded(operation)) {
          this._changed.disconnect(look);
          resolve(operation);
        }
      };
      this._changed.connect(look);
      look();
    });
  }

  private onEngine(data: Data): void {
    const engine = data as unknown as Engine;
    if (engine.available) {
      this.set({ engine, staleSince: null });
      // What an engine that was never reached could not be asked.
      this._socket?.retryRefused();
    } else {
      this.set({ engine });
    }
  }

  private onGpus(data: Data): void {
    this.set({
      gpus: data['gpus'] as readonly Gpu[],
      waiting: data['waiting'] as number
    });
  }

  private onContainers(data: Data): void {
    const items = data['items'] as readonly Container[];
    const staleSince = (data['stale_since'] as string | null) ?? null;
    const containers = new Map(items.map(item => [item.cid, item]));
    this.set({ containers, staleSince });
  }

  private onContainer(data: Data): void {
    if (data['event'] === 'removed') {
      this.dropContainer(data['cid'] as number);
    } else if (data['event'] === 'changed') {
      this.putContainer(data['container'] as Container);
    }
  }

  private onImage(data: Data): void {
    const images = new Map(this._state.images ?? []);
    if (data['event'] === 'removed') {
      images.delete(data['id'] as string);
    } else {
      const image = data['image'] as Image;
      images.set(image.id, image);
    }
    this.set({ images });
  }

  private onOperations(items: readonly Operation[]): void {
    const operations = new Map(this._state.operations);
    for (const operation of items) {
      operations.set(operation.id, operation);
      if (!hasEnded(operation)) {
        this._begun.add(operation.id);
      }
    }
    for (const [id, operation] of operations) {
      if (operations.size <= MOST_OPERATIONS) {
        break;
      }
      if (hasEnded(operation)) {
        operations.delete(id);
      }
    }
    // What failed before this tab was opened is history, not news.
    const isNews = ({ id, state }: Operation) =>
      state === 'failed' && this._begun.has(id) && !this._dismissed.has(id);
    const current = [...operations.values()]
      .filter(operation => !hasEnded(operation) || isNews(operation))
      .sort((a, b) => a.created_at.localeCompare(b.created_at));
    this.set({ operations, current });
  }

  private onHistory(data: Data): void {
    const history = (data['history'] ?? {}) as Record<string, Sample[]>;
    const series = new Map(
      Object.entries(history).map(([cid, samples]) => [
        Number(cid),
        extend(EMPTY_SERIES, samples)
      ])
    );
    this.set({ series });
  }

  private onSamples(data: Data): void {
    const items = data['items'] as ReadonlyArray<Sample & { cid: number }>;
    const series = new Map(this._state.series);
    for (const sample of items) {
      const known = series.get(sample.cid) ?? EMPTY_SERIES;
      series.set(sample.cid, extend(known, [sample]));
    }
    this.set({ series });
  }

  private set(change: Partial<State>): void {
    this._state = { ...this._state, ...change };
    this._changed.emit(this._state);
  }

  private _state = INITIAL;
  private _changed = new Signal<this, State>(this);
  private _socket: EventSocket | null = null;
  private _watchers = 0;
  private _measuring: IDisposable | null = null;
  private _begun = new Set<string>();
  private _dismissed = new Set<string>();
}
