import type { IDisposable } from '@lumino/disposable';
import { ISignal, Signal } from '@lumino/signaling';

import { LogBuffer } from './logs';
import { wordsOf } from './reply';
import type { Data, EventSocket } from './socket';
import type { Store } from './store';

/** Pieces are shown this often (milliseconds) however fast they come. */
const FLUSH = 80;

/** The server gives no more lines of the past than this at once. */
export const LONGEST_TAIL = 10_000;

/** Remarks of our own between a container's lines, translated. */
export interface LogWords {
  readonly ended: string;
  readonly refused: (why: string) => string;
}

/** A container's output as it is written, through stops, starts and lost connections. */
export class LogFeed implements IDisposable {
  constructor(
    private readonly socket: EventSocket,
    private readonly store: Store,
    readonly cid: number,
    private readonly tail: number,
    private readonly words: LogWords
  ) {
    this.buffer = new LogBuffer();
    socket.stateChanged.connect(this.onConnection, this);
    store.changed.connect(this.onStore, this);
    this.listen();
  }

  readonly buffer: LogBuffer;

  /** Emitted when there are new lines, at most every 80 ms. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  /** Take the lines shown away; new ones go on. */
  clear(): void {
    this.flush();
    this.buffer.clear();
    this._changed.emit();
  }

  dispose(): void {
    if (this._isDisposed) {
      return;
    }
    this._isDisposed = true;
    clearTimeout(this._timer);
    this._following?.dispose();
    this.socket.stateChanged.disconnect(this.onConnection, this);
    this.store.changed.disconnect(this.onStore, this);
    Signal.clearData(this);
  }

  private listen(): void {
    const { cid } = this;
    this._ended = false;
    this._following = this.socket.follow({
      topic: 'container-logs',
      parameters: () => ({
        cid,
        tail: this.buffer.lastTime ? LONGEST_TAIL : this.tail,
        timestamps: true
      }),
      onEvent: data => this.onEvent(data),
      onRefused: reason => {
        this.end(this.words.refused(wordsOf(reason)));
        // The socket asks again when the engine is back.
        this.buffer.rewind();
      }
    });
  }

  private onEvent(data: Data): void {
    if (data['ended'] === true) {
      this.end(this.words.ended);
      return;
    }
    const text = data['text'];
    if (typeof text === 'string') {
      const stream = data['stream'] === 'stderr' ? 'stderr' : 'stdout';
      this._pieces.push({ text, stream });
      this._timer ??= setTimeout(() => this.flush(), FLUSH);
    }
  }

  private flush(): void {
    clearTimeout(this._timer);
    this._timer = undefined;
    if (this._pieces.length) {
      this.buffer.append(this._pieces.splice(0));
      this._changed.emit();
    }
  }

  private end(remark: string): void {
    this.flush();
    this.buffer.end();
    this.buffer.note(remark);
    this._ended = true;
    this._changed.emit();
  }

  private onConnection(): void {
    if (this.socket.state === 'lost') {
      this.flush();
      this.buffer.rewind();
    }
  }

  /** A container that runs again writes again. */
  private onStore(): void {
    const container = this.store.state.containers?.get(this.cid);
    const runs = container?.status === 'running';
    if (this._ended && runs && !this._ran) {
      this._following?.dispose();
      this.buffer.rewind();
      this.listen();
    }
    this._ran = runs;
  }

  private _changed = new Signal<this, void>(this);
  private _isDisposed = false;
  private _ended = false;
  private _ran = true;
  private _following: IDisposable | null = null;
  private _pieces: { text: string; stream: 'stdout' | 'stderr' }[] = [];
  private _timer: ReturnType<typeof setTimeout> | undefined;
}
