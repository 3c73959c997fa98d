import type { ServerConnection, Terminal } from '@jupyterlab/services';
import { PromiseDelegate } from '@lumino/coreutils';
import { ISignal, Signal } from '@lumino/signaling';

/** Milliseconds. */
const JUST_NOW = 3000;

/**
 * A shell in a container, as JupyterLab's terminal widget knows sessions.
 *
 * It speaks the terminals' own protocol. A shell lives as long as its socket, so a lost one is
 * not resumed: `reconnect` opens a new shell.
 */
export class ExecConnection implements Terminal.ITerminalConnection {
  /**
   * @param name - Shown in the tab.
   * @param open - Opens a socket to a new shell.
   * @param ended - What to print when the shell ends by itself or the connection breaks.
   * @param explain - Finds out why no shell was reached, where the server gave no reason.
   */
  constructor(
    readonly name: string,
    readonly serverSettings: ServerConnection.ISettings,
    private readonly open: () => WebSocket,
    private readonly ended: string,
    private readonly explain: () => Promise<string>
  ) {
    this.connect();
  }

  get messageReceived(): ISignal<this, Terminal.IMessage> {
    return this._messageReceived;
  }

  get connectionStatusChanged(): ISignal<this, Terminal.ConnectionStatus> {
    return this._statusChanged;
  }

  get disposed(): ISignal<this, void> {
    return this._disposed;
  }

  get connectionStatus(): Terminal.ConnectionStatus {
    return this._status;
  }

  get model(): Terminal.IModel {
    return { name: this.name };
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  send(message: Terminal.IMessage): void {
    if (this._isDisposed || !message.content) {
      return;
    }
    if (message.type === 'stdin') {
      this._typedAt = Date.now();
    }
    const text = JSON.stringify([message.type, ...message.content]);
    if (this._status === 'connected') {
      this._socket?.send(text);
    } else {
      this._pending.push(text);
    }
  }

  async reconnect(): Promise<void> {
    this.drop();
    this._reached = new PromiseDelegate<boolean>();
    this.connect();
    if (!(await this._reached.promise)) {
      throw new Error(this.ended);
    }
  }

  shutdown(): Promise<void> {
    this.dispose();
    return Promise.resolve();
  }

  dispose(): void {
    if (this._isDisposed) {
      return;
    }
    this._isDisposed = true;
    this._reached.resolve(false);
    this._disposed.emit();
    this.setStatus('disconnected');
    this.drop();
    Signal.clearData(this);
  }

  private connect(): void {
    this.setStatus('connecting');
    const socket = this.open();
    this._socket = socket;
    socket.onmessage = event => this.onMessage(String(event.data));
    socket.onclose = event => this.onClose(event.reason);
  }

  private onMessage(text: string): void {
    const [type, ...content] = JSON.parse(text) as [
      Terminal.MessageType | 'setup',
      ...string[]
    ];
    if (type === 'setup') {
      this.setStatus('connected');
      this._reached.resolve(true);
      for (const pending of this._pending.splice(0)) {
        this._socket?.send(pending);
      }
      return;
    }
    this._messageReceived.emit({ type, content });
    if (type === 'disconnect') {
      // Who has just typed `exit` is done. A shell that ends by itself, as where its container is
      // stopped, leaves its last words to be read.
      if (Date.now() - this._typedAt < JUST_NOW) {
        this.dispose();
      } else {
        this.drop();
        this.setStatus('disconnected');
        this.say(this.ended);
      }
    }
  }

  private onClose(reason: string): void {
    const was = this._status;
    this._socket = null;
    this.setStatus('disconnected');
    this._reached.resolve(false);
    if (reason) {
      this.say(reason);
    } else if (was === 'connected') {
      this.say(this.ended);
    } else {
      void this.explain().then(why => this.say(why));
    }
  }

  /** Print a remark of our own. */
  private say(text: string): void {
    const content = [`\r\n\x1b[2m${text}\x1b[0m\r\n`];
    this._messageReceived.emit({ type: 'stdout', content });
  }

  private drop(): void {
    const socket = this._socket;
    this._socket = null;
    if (socket) {
      socket.onmessage = null;
      socket.onclose = null;
      socket.close();
    }
  }

  private setStatus(status: Terminal.ConnectionStatus): void {
    if (status !== this._status) {
      this._status = status;
      this._statusChanged.emit(status);
    }
  }

  private _status: Terminal.ConnectionStatus = 'disconnected';
  private _messageReceived = new Signal<this, Terminal.IMessage>(this);
  private _statusChanged = new Signal<this, Terminal.ConnectionStatus>(this);
  private _disposed = new Signal<this, void>(this);
  private _isDisposed = false;
  private _typedAt = -Infinity;
  private _reached = new PromiseDelegate<boolean>();
  private _socket: WebSocket | null = null;
  private _pending: string[] = [];
}
