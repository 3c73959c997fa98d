import { DisposableDelegate, IDisposable } from '@lumino/disposable';
import { ISignal, Signal } from '@lumino/signaling';

export type Data = Readonly<Record<string, unknown>>;

export type ConnectionState = 'connecting' | 'open' | 'lost' | 'closed';

/** What the server refused, in its own code and words. */
export class SocketError extends Error {
  constructor(
    readonly code: string,
    message: string,
    /** Facts about it, by name. */
    readonly details: Data = {}
  ) {
    super(message);
    this.name = 'SocketError';
  }
}

interface Frame {
  readonly type: string;
  readonly id?: string | number;
  readonly eventId?: string;
  readonly data?: Data;
}

interface Waiting {
  resolve: (data: Data) => void;
  reject: (reason: Error) => void;
  timer: ReturnType<typeof setTimeout>;
}

interface Feed {
  readonly topic: string;
  /** Asked anew at each (re)connection, so that a feed can go on where it stopped. */
  readonly parameters: () => Data;
  readonly onSnapshot: (data: Data) => void;
  readonly onEvent: (data: Data) => void;
  readonly onRefused: (reason: SocketError) => void;
}

const REPLY_SECONDS = 30;
const PING_SECONDS = 10;
const FIRST_DELAY = 500;
const LONGEST_DELAY = 30_000;

/**
 * The tab's one WebSocket: requests with replies, feeds that survive a reconnection.
 *
 * A feed is subscribed again at each connection and gets a fresh snapshot, then `resume` asks
 * for the events since the last one seen, so that nothing in between is lost.
 */
export class EventSocket implements IDisposable {
  /**
   * @param open - Makes a socket; called for the first connection and for each later one.
   * @param random - Between 0 and 1; spreads the tabs' reconnections after a server's restart.
   */
  constructor(
    private readonly open: () => WebSocket,
    private readonly random: () => number = Math.random
  ) {}

  /** Emitted with each new state of the connection. */
  get stateChanged(): ISignal<this, ConnectionState> {
    return this._stateChanged;
  }

  get state(): ConnectionState {
    return this._state;
  }

  /** How many attempts have failed in a row. */
  get failures(): number {
    return this._failures;
  }

  get isDisposed(): boolean {
    return this._state === 'closed';
  }

  /** Connect, unless a connection or an attempt is there; a waiting attempt is made at once. */
  connect(): void {
    if (this.isDisposed || this._socket) {
      return;
    }
    clearTimeout(this._retry);
    this.setState(this._failures ? 'lost' : 'connecting');
    const socket = this.open();
    this._socket = socket;
    socket.onopen = () => {
      if (socket === this._socket) {
        this.onOpen();
      }
    };
    socket.onmessage = event => {
      if (socket === this._socket) {
        this.onMessage(String(event.data));
      }
    };
    socket.onclose = () => {
      if (socket === this._socket) {
        this.onClose();
      }
    };
  }

  dispose(): void {
    if (this.isDisposed) {
      return;
    }
    this.setState('closed');
    clearTimeout(this._retry);
    const socket = this._socket;
    this._socket = null;
    socket?.close();
    this.rejectWaiting();
    this._feeds.clear();
    Signal.clearData(this);
  }

  /** Send one request and wait for its reply. */
  request(
    type: string,
    data: Data = {},
    seconds = REPLY_SECONDS
  ): Promise<Data> {
    return new Promise((resolve, reject) => {
      const socket = this._socket;
      if (!socket || this._state !== 'open') {
        reject(new SocketError('NOT_CONNECTED', 'Not connected.'));
        return;
      }
      const id = String(++this._requests);
      const timer = setTimeout(() => {
        this._waiting.delete(id);
        reject(new SocketError('TIMEOUT', `No reply in ${seconds} seconds.`));
      }, seconds * 1000);
      this._waiting.set(id, { resolve, reject, timer });
      socket.send(JSON.stringify({ type, data, id }));
    });
  }

  /**
   * Follow a topic until the returned handle is disposed.
   *
   * Frames that name a container (`cid`) reach only the feeds of that container and those of none.
   */
  follow(feed: {
    topic: string;
    parameters?: () => Data;
    onSnapshot?: (data: Data) => void;
    onEvent: (data: Data) => void;
    onRefused?: (reason: SocketError) => void;
  }): IDisposable {
    const own: Feed = {
      parameters: () => ({}),
      onSnapshot: () => undefined,
      onRefused: () => undefined,
      ...feed
    };
    this._feeds.add(own);
    if (this._state === 'open') {
      void this.subscribe(own);
    }
    return new DisposableDelegate(() => {
      this._feeds.delete(own);
      this._refused.delete(own);
      if (this._state === 'open' && !this.isFollowed(own)) {
        // Whoever stops listening does not care whether the server heard it.
        this.request('unsubscribe', {
          topic: own.topic,
          ...own.parameters()
        }).catch(() => undefined);
      }
    });
  }

  /** Subscribe again to what the server refused or broke off, now that a reason for it has gone. */
  retryRefused(): void {
    for (const feed of this._refused) {
      this._refused.delete(feed);
      void this.subscribe(feed);
    }
  }

  /**
   * Find out whether the connection still lives, as after sleep; a dead one is replaced.
   */
  async check(): Promise<void> {
    if (this._state !== 'open') {
      this.connect();
      return;
    }
    const socket = this._socket;
    try {
      await this.request('auth', {}, PING_SECONDS);
    } catch (reason) {
      const dead = reason instanceof SocketError && reason.code === 'TIMEOUT';
      if (dead && socket === this._socket) {
        socket?.close();
        this.onClose();
      }
    }
  }

  private onOpen(): void {
    this._failures = 0;
    this._refused.clear();
    this.setState('open');
    const last = this._lastEventId;
    const subscribed = [...this._feeds].map(feed => this.subscribe(feed));
    if (last) {
      // Feeds that can't be resumed have their snapshot, so a refusal loses nothing.
      void Promise.all(subscribed)
        .then(() => this.request('resume', { lastEventId: last }))
        .then(({ lastEventId }) => {
          // A server that was started anew counts anew.
          if (typeof lastEventId === 'string') {
            this._lastEventId = lastEventId;
          }
        })
        .catch(() => undefined);
    }
  }

  private onClose(): void {
    this._socket = null;
    this._failures += 1;
    this.rejectWaiting();
    this.setState('lost');
    const longest = Math.min(
      LONGEST_DELAY,
      FIRST_DELAY * 2 ** Math.min(this._failures - 1, 10)
    );
    this._retry = setTimeout(
      () => this.connect(),
      longest * (0.5 + this.random() / 2)
    );
  }

  private onMessage(text: string): void {
    const frame = JSON.parse(text) as Frame;
    const data = frame.data ?? {};
    if (frame.eventId) {
      this._lastEventId = frame.eventId;
    }
    const id = frame.id === undefined ? undefined : String(frame.id);
    const waiting = id === undefined ? undefined : this._waiting.get(id);
    if (waiting && id !== undefined) {
      this._waiting.delete(id);
      clearTimeout(waiting.timer);
      if (frame.type === 'error') {
        waiting.reject(errorOf(data));
      } else {
        waiting.resolve(data);
      }
      return;
    }
    const broken = frame.type === 'error';
    const topic = broken ? data['topic'] : frame.type;
    for (const feed of [...this._feeds]) {
      const wanted = feed.parameters()['cid'];
      const named = data['cid'];
      const fits = wanted === undefined || named === undefined;
      if (feed.topic === topic && (fits || wanted === named)) {
        if (broken) {
          this.refuse(feed, errorOf(data));
        } else {
          feed.onEvent(data);
        }
      }
    }
  }

  private async subscribe(feed: Feed): Promise<void> {
    try {
      const snapshot = await this.request('subscribe', {
        topic: feed.topic,
        ...feed.parameters()
      });
      if (this._feeds.has(feed)) {
        feed.onSnapshot(snapshot);
      }
    } catch (reason) {
      // A connection that broke comes back, and asks again.
      const refused =
        reason instanceof SocketError && reason.code !== 'NOT_CONNECTED';
      if (refused && this._feeds.has(feed)) {
        this.refuse(feed, reason);
      }
    }
  }

  private refuse(feed: Feed, reason: SocketError): void {
    this._refused.add(feed);
    feed.onRefused(reason);
  }

  private isFollowed(gone: Feed): boolean {
    const cid = gone.parameters()['cid'];
    return [...this._feeds].some(
      feed => feed.topic === gone.topic && feed.parameters()['cid'] === cid
    );
  }

  private rejectWaiting(): void {
    for (const waiting of this._waiting.values()) {
      clearTimeout(waiting.timer);
      waiting.reject(
        new SocketError('NOT_CONNECTED', 'The connection was lost.')
      );
    }
    this._waiting.clear();
  }

  private setState(state: ConnectionState): void {
    if (state !== this._state) {
      this._state = state;
      this._stateChanged.emit(state);
    }
  }

  private _state: ConnectionState = 'connecting';
  private _stateChanged = new Signal<this, ConnectionState>(this);
  private _socket: WebSocket | null = null;
  private _feeds = new Set<Feed>();
  private _refused = new Set<Feed>();
  private _waiting = new Map<string, Waiting>();
  private _requests = 0;
  private _failures = 0;
  private _lastEventId: string | null = null;
  private _retry: ReturnType<typeof setTimeout> | undefined;
}

function errorOf(data: Data): SocketError {
  const { code, message, details } = data as {
    code?: string;
    message?: string;
    details?: Data;
  };
  return new SocketError(
    code ?? 'ERROR',
    message ?? 'The server refused.',
    details
  );
}
