import { plain } from './ansi';

/** A line that a container wrote. */
export interface LogLine {
  readonly number: number;
  /** When the engine received it (RFC 3339); empty for our own remarks. */
  readonly time: string;
  /** As written, with colours. */
  readonly raw: string;
  /** As read, without them. */
  readonly text: string;
  readonly stream: 'stdout' | 'stderr' | 'note';
}

const TIME = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)) ?/;

/**
 * The newest lines of a container's output, put together from pieces.
 *
 * Pieces end anywhere, the two streams interleave, and a carriage return writes over the line,
 * as progress bars do. Every line comes with its time, by which lines that were seen before a
 * reconnection are told from new ones.
 */
export class LogBuffer {
  constructor(private readonly most = 20_000) {}

  /** The lines, oldest first; a new array after each change. */
  get lines(): readonly LogLine[] {
    return this._lines;
  }

  /** How many lines were dropped because there were too many. */
  get dropped(): number {
    return this._dropped;
  }

  /** The newest line's time: where to go on after a reconnection. */
  get lastTime(): string {
    return this._lastTime;
  }

  /** Take pieces in the order of their arrival. */
  append(
    pieces: ReadonlyArray<{ text: string; stream: 'stdout' | 'stderr' }>
  ): void {
    const fresh: LogLine[] = [];
    for (const { text, stream } of pieces) {
      const whole = this._open[stream] + text;
      const parts = whole.split('\n');
      this._open[stream] = parts.pop() ?? '';
      for (const part of parts) {
        this.take(part, stream, fresh);
      }
    }
    this.add(fresh);
  }

  /** End what is unfinished, when the output has ended. */
  end(): void {
    const fresh: LogLine[] = [];
    for (const stream of ['stdout', 'stderr'] as const) {
      if (this._open[stream]) {
        this.take(this._open[stream], stream, fresh);
      }
      this._open[stream] = '';
    }
    this.add(fresh);
  }

  /** Put a remark of our own between the lines. */
  note(text: string): void {
    this.add([
      { number: ++this._count, time: '', raw: text, text, stream: 'note' }
    ]);
  }

  /** The output is sent again from some lines ago: those seen are skipped. */
  rewind(): void {
    this._open = { stdout: '', stderr: '' };
    this._seen = this._lastTime;
  }

  /** Forget the lines shown, not what has been seen. */
  clear(): void {
    this._lines = [];
    this._dropped = 0;
  }

  private take(
    part: string,
    stream: 'stdout' | 'stderr',
    into: LogLine[]
  ): void {
    const match = TIME.exec(part);
    const time = match?.[1] ?? '';
    if (time && this._seen && !isLater(time, this._seen)) {
      return;
    }
    const written = (match ? part.slice(match[0].length) : part).replace(
      /\r+$/,
      ''
    );
    const raw = written.slice(written.lastIndexOf('\r') + 1);
    if (time && isLater(time, this._lastTime)) {
      this._lastTime = time;
    }
    into.push({ number: ++this._count, time, raw, text: plain(raw), stream });
  }

  private add(fresh: readonly LogLine[]): void {
    if (!fresh.length) {
      return;
    }
    const lines = [...this._lines, ...fresh];
    const over = lines.length - this.most;
    // Dropped by tenths: else each new line would move every other.
    if (over > 0) {
      const drop = Math.max(over, Math.floor(this.most / 10));
      this._dropped += drop;
      this._lines = lines.slice(drop);
    } else {
      this._lines = lines;
    }
  }

  private _lines: readonly LogLine[] = [];
  private _open = { stdout: '', stderr: '' };
  private _count = 0;
  private _dropped = 0;
  private _lastTime = '';
  private _seen = '';
}

/** Compare times to the nanosecond, which a Date cannot hold. */
function isLater(time: string, than: string): boolean {
  if (!than) {
    return true;
  }
  const [seconds, rest] = split(time);
  const [thanSeconds, thanRest] = split(than);
  return seconds === thanSeconds ? rest > thanRest : seconds > thanSeconds;
}

function split(time: string): [number, string] {
  const fraction = /\.(\d+)/.exec(time)?.[1] ?? '';
  const whole = Date.parse(time.replace(/\.\d+/, ''));
  return [whole, fraction.padEnd(9, '0')];
}
