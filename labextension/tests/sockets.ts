/** A WebSocket whose other end is the test. */
export class FakeSocket {
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: string }) => void) | null = null;
  onclose: ((event: { code: number; reason: string }) => void) | null = null;
  closed = false;
  readonly sent: string[] = [];

  send(text: string): void {
    this.sent.push(text);
  }

  close(): void {
    this.closed = true;
  }

  /** The connection stands. */
  accept(): void {
    this.onopen?.();
  }

  /** The other end sends. */
  receive(message: unknown): void {
    this.onmessage?.({ data: JSON.stringify(message) });
  }

  /** The connection breaks, or the other end closes it. */
  drop(reason = ''): void {
    this.onclose?.({ code: 1006, reason });
  }

  /** The frames that were sent. */
  get frames(): Frame[] {
    return this.sent.map(text => JSON.parse(text) as Frame);
  }

  /** Answer the newest request of a type (and topic). */
  answer(type: string, data: object, topic?: string): void {
    const request = this.frames
      .filter(frame => frame.type === type)
      .filter(frame => topic === undefined || frame.data['topic'] === topic)
      .at(-1);
    this.receive({ type, id: request?.id, data });
  }

  get asWebSocket(): WebSocket {
    return this as unknown as WebSocket;
  }
}

export interface Frame {
  type: string;
  id?: string;
  data: Record<string, unknown>;
}

/** Opens fake sockets and keeps them, newest last. */
export class Opener {
  readonly sockets: FakeSocket[] = [];

  readonly open = (): WebSocket => {
    const socket = new FakeSocket();
    this.sockets.push(socket);
    return socket.asWebSocket;
  };

  get last(): FakeSocket {
    const last = this.sockets.at(-1);
    if (!last) {
      throw new Error('Nothing was opened.');
    }
    return last;
  }
}

/** Let promises that are settled run on. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) {
    await Promise.resolve();
  }
}
