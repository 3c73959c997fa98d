import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { LogFeed } from '../src/model/logfeed';
import { EventSocket } from '../src/model/socket';
import { Store } from '../src/model/store';
import { Opener, settle } from './sockets';
import { container } from './things';

let opener: Opener;
let store: Store;
let feed: LogFeed;

beforeEach(() => {
  vi.useFakeTimers();
  opener = new Opener();
  store = new Store();
  const socket = new EventSocket(opener.open, () => 1);
  socket.connect();
  opener.last.accept();
  store.putContainer(container());
  feed = new LogFeed(socket, store, 1, 100, {
    ended: 'Stopped.',
    refused: why => `Refused: ${why}`
  });
});

afterEach(() => {
  feed.dispose();
  vi.useRealTimers();
});

function write(text: string): void {
  opener.last.receive({
    type: 'container-logs',
    data: { cid: 1, stream: 'stdout', text }
  });
}

function texts(): string[] {
  vi.advanceTimersByTime(100);
  return feed.buffer.lines.map(({ text }) => text);
}

const asked = () =>
  opener.last.frames.filter(({ type }) => type === 'subscribe');

describe('a followed log', () => {
  it('asks for the past, with times', () => {
    expect(asked()[0]?.data).toEqual({
      topic: 'container-logs',
      cid: 1,
      tail: 100,
      timestamps: true
    });
  });

  it('is shown in gulps, however fast it is written', () => {
    const changed = vi.fn();
    feed.changed.connect(changed);
    for (let number = 0; number < 50; number += 1) {
      write(`${number}\n`);
    }
    expect(texts()).toHaveLength(50);
    expect(changed).toHaveBeenCalledOnce();
  });

  it('goes on after a lost connection without saying anything twice', () => {
    write('2026-11-20T10:00:01Z a\n');
    texts();
    opener.last.drop();
    vi.advanceTimersByTime(500);
    opener.last.accept();
    expect(asked()[0]?.data['tail']).toBe(10_000);
    write('2026-11-20T10:00:01Z a\n2026-11-20T10:00:02Z b\n');
    expect(texts()).toEqual(['a', 'b']);
  });

  it('says that the container has stopped, and goes on when it starts', () => {
    write('2026-11-20T10:00:01Z a\n');
    store.putContainer(container({ status: 'exited' }));
    opener.last.receive({
      type: 'container-logs',
      data: { cid: 1, ended: true }
    });
    expect(texts()).toEqual(['a', 'Stopped.']);
    store.putContainer(container({ status: 'running' }));
    expect(asked()).toHaveLength(2);
    write('2026-11-20T10:00:01Z a\n2026-11-20T10:00:03Z b\n');
    expect(texts()).toEqual(['a', 'Stopped.', 'b']);
  });

  it('says why there is nothing', async () => {
    opener.last.receive({
      type: 'error',
      id: asked()[0]?.id,
      data: { code: 'NOT_FOUND', message: 'No container goes by 1.' }
    });
    await settle();
    expect(texts()).toEqual(['Refused: No container goes by 1.']);
  });

  it('can be cleared', () => {
    write('2026-11-20T10:00:01Z a\n');
    feed.clear();
    expect(texts()).toEqual([]);
    write('2026-11-20T10:00:02Z b\n');
    expect(texts()).toEqual(['b']);
  });

  it('is left when its tab is closed', () => {
    feed.dispose();
    expect(opener.last.frames.at(-1)).toMatchObject({
      type: 'unsubscribe',
      data: { topic: 'container-logs', cid: 1 }
    });
  });
});
