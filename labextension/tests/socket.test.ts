import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { Data, EventSocket, SocketError } from '../src/model/socket';
import { Opener, settle } from './sockets';

let opener: Opener;
let socket: EventSocket;

beforeEach(() => {
  vi.useFakeTimers();
  opener = new Opener();
  socket = new EventSocket(opener.open, () => 1);
  socket.connect();
});

afterEach(() => {
  socket.dispose();
  vi.useRealTimers();
});

describe('a request', () => {
  it('gets the reply that repeats its id', async () => {
    opener.last.accept();
    const first = socket.request('auth');
    const second = socket.request('auth');
    const [one, two] = opener.last.frames;
    opener.last.receive({ type: 'auth', id: two?.id, data: { user: 2 } });
    opener.last.receive({ type: 'auth', id: one?.id, data: { user: 1 } });
    expect(await first).toEqual({ user: 1 });
    expect(await second).toEqual({ user: 2 });
  });

  it('fails with the code and words of the server', async () => {
    opener.last.accept();
    const refused = socket.request('subscribe', { topic: 'nothing' });
    opener.last.receive({
      type: 'error',
      id: opener.last.frames[0]?.id,
      data: { code: 'NOT_FOUND', message: 'No such topic.', details: {} }
    });
    await expect(refused).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: 'No such topic.'
    });
  });

  it('fails at once when nobody is connected', async () => {
    await expect(socket.request('auth')).rejects.toBeInstanceOf(SocketError);
  });

  it('fails when the connection breaks before its reply', async () => {
    opener.last.accept();
    const lost = socket.request('auth');
    opener.last.drop();
    await expect(lost).rejects.toMatchObject({ code: 'NOT_CONNECTED' });
  });

  it('fails after thirty seconds of silence', async () => {
    opener.last.accept();
    const silent = expect(socket.request('auth')).rejects.toMatchObject({
      code: 'TIMEOUT'
    });
    await vi.advanceTimersByTimeAsync(30_000);
    await silent;
  });
});

describe('a feed', () => {
  it('brings the snapshot and then the events of its topic', async () => {
    const seen: Data[] = [];
    socket.follow({
      topic: 'containers',
      onSnapshot: data => seen.push(data),
      onEvent: data => seen.push(data)
    });
    opener.last.accept();
    opener.last.answer('subscribe', { items: [] }, 'containers');
    await settle();
    opener.last.receive({ type: 'containers', data: { event: 'changed' } });
    opener.last.receive({ type: 'images', data: { event: 'changed' } });
    expect(seen).toEqual([{ items: [] }, { event: 'changed' }]);
  });

  it('gets only the frames of its own container', () => {
    const seen: unknown[] = [];
    opener.last.accept();
    for (const cid of [1, 2]) {
      socket.follow({
        topic: 'container-logs',
        parameters: () => ({ cid }),
        onEvent: data => seen.push([cid, data['text']])
      });
    }
    opener.last.receive({
      type: 'container-logs',
      data: { cid: 2, text: 'x' }
    });
    expect(seen).toEqual([[2, 'x']]);
  });

  it('is told when the server refuses it', async () => {
    const refused = vi.fn();
    socket.follow({
      topic: 'container-logs',
      onEvent: () => undefined,
      onRefused: refused
    });
    opener.last.accept();
    const request = opener.last.frames[0];
    opener.last.receive({
      type: 'error',
      id: request?.id,
      data: { code: 'NOT_FOUND', message: 'Gone.' }
    });
    await settle();
    expect(refused).toHaveBeenCalledOnce();
  });

  it('is told when the server breaks it off, and can be tried again', () => {
    opener.last.accept();
    const refused = vi.fn();
    for (const cid of [1, 2]) {
      socket.follow({
        topic: 'container-logs',
        parameters: () => ({ cid }),
        onEvent: () => undefined,
        onRefused: () => {
          refused(cid);
        }
      });
    }
    opener.last.receive({
      type: 'error',
      data: { code: 'UNAVAILABLE', topic: 'container-logs', cid: 2 }
    });
    expect(refused.mock.calls).toEqual([[2]]);
    socket.retryRefused();
    expect(types()).toEqual(['subscribe', 'subscribe', 'subscribe']);
    expect(opener.last.frames[2]?.data['cid']).toBe(2);
  });

  it('is unsubscribed only when nobody else follows the same', () => {
    opener.last.accept();
    const [first, second] = [1, 2].map(() =>
      socket.follow({ topic: 'images', onEvent: () => undefined })
    );
    first?.dispose();
    expect(types()).not.toContain('unsubscribe');
    second?.dispose();
    expect(types()).toContain('unsubscribe');
  });
});

describe('a lost connection', () => {
  it('comes back, subscribes again and resumes after the last event', async () => {
    socket.follow({ topic: 'containers', onEvent: () => undefined });
    opener.last.accept();
    opener.last.answer('subscribe', { items: [] });
    opener.last.receive({ type: 'containers', data: {}, eventId: 'boot-7' });
    opener.last.drop();
    expect(socket.state).toBe('lost');
    vi.advanceTimersByTime(500);
    expect(opener.sockets).toHaveLength(2);
    opener.last.accept();
    expect(types()).toEqual(['subscribe']);
    opener.last.answer('subscribe', { items: [] });
    await settle();
    expect(opener.last.frames.at(-1)).toMatchObject({
      type: 'resume',
      data: { lastEventId: 'boot-7' }
    });
  });

  it('is tried again ever more rarely, up to half a minute', () => {
    const waits = [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000];
    for (const wait of waits) {
      const before = opener.sockets.length;
      opener.last.drop();
      vi.advanceTimersByTime(wait - 1);
      expect(opener.sockets).toHaveLength(before);
      vi.advanceTimersByTime(1);
      expect(opener.sockets).toHaveLength(before + 1);
    }
  });

  it('is noticed after sleep, when nothing comes back', async () => {
    opener.last.accept();
    const checked = socket.check();
    await vi.advanceTimersByTimeAsync(10_000);
    await checked;
    expect(socket.state).toBe('lost');
    expect(opener.sockets[0]?.closed).toBe(true);
  });

  it('is not tried again once the socket is disposed', () => {
    opener.last.drop();
    socket.dispose();
    vi.advanceTimersByTime(60_000);
    expect(opener.sockets).toHaveLength(1);
  });
});

function types(): string[] {
  return opener.last.frames.map(frame => frame.type);
}
