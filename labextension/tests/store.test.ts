import { beforeEach, describe, expect, it, vi } from 'vitest';

import { EventSocket } from '../src/model/socket';
import { Store } from '../src/model/store';
import { Opener, settle } from './sockets';
import { container, image, operation } from './things';

let opener: Opener;
let store: Store;

beforeEach(async () => {
  opener = new Opener();
  store = new Store();
  const socket = new EventSocket(opener.open);
  store.feed(socket);
  socket.connect();
  opener.last.accept();
  opener.last.answer('auth', { user: { username: 'ada' } });
  opener.last.answer('subscribe', { available: true }, 'engine');
  opener.last.answer('subscribe', { items: [container()] }, 'containers');
  opener.last.answer('subscribe', { items: [image()] }, 'images');
  opener.last.answer('subscribe', { items: [] }, 'operations');
  await settle();
});

function event(type: string, data: object): void {
  opener.last.receive({ type, data });
}

describe('the store', () => {
  it('holds what the snapshots brought', () => {
    const { state } = store;
    expect(state.username).toBe('ada');
    expect(state.containers?.get(1)?.name).toBe('web');
    expect(state.images?.size).toBe(1);
    expect(state.engine?.available).toBe(true);
  });

  it('follows containers as they change and go', () => {
    event('containers', {
      event: 'changed',
      container: container({ status: 'exited' })
    });
    expect(store.state.containers?.get(1)?.status).toBe('exited');
    event('containers', { event: 'removed', cid: 1, id: 'x', name: 'web' });
    expect(store.state.containers?.size).toBe(0);
  });

  it('shows that one is idle, and takes no other news for a container', () => {
    const idle = {
      since: '2026-11-20T11:00:00Z',
      stops_at: '2026-11-20T12:00:00Z',
      kept_until: null,
      warned_at: '2026-11-20T11:50:00Z',
      stopped_at: null,
      reason: 'idle' as const
    };
    event('containers', { event: 'changed', container: container({ idle }) });
    event('containers', {
      event: 'idle_warning',
      cid: 1,
      name: 'web',
      reason: 'idle',
      stops_at: idle.stops_at
    });
    expect([...(store.state.containers ?? [])]).toEqual([
      [1, container({ idle })]
    ]);
  });

  it('follows images as they change and go', () => {
    const other = image({ id: 'sha256:ff', tags: ['redis:7'] });
    event('images', { event: 'changed', image: other });
    expect(store.state.images?.size).toBe(2);
    event('images', { event: 'removed', id: other.id, iid: 3 });
    expect(store.state.images?.size).toBe(1);
  });

  it('keeps the containers that it knows when the engine goes silent', () => {
    event('engine', { available: false, what: 'Silent.', cure: 'Wake it.' });
    expect(store.state.engine?.what).toBe('Silent.');
    expect(store.state.containers?.size).toBe(1);
  });

  it('asks again for what an engine that was never reached could not tell', async () => {
    const other = new Opener();
    const late = new Store();
    const socket = new EventSocket(other.open);
    late.feed(socket);
    socket.connect();
    other.last.accept();
    const refused = other.last.frames.find(
      ({ data }) => data['topic'] === 'containers'
    );
    const reason = { code: 'UNAVAILABLE', message: 'No engine.' };
    other.last.receive({ type: 'error', id: refused?.id, data: reason });
    await settle();
    other.last.receive({ type: 'engine', data: { available: true } });
    other.last.answer('subscribe', { items: [container()] }, 'containers');
    await settle();
    expect(late.state.containers?.size).toBe(1);
  });

  it('knows which folders containers may have, whatever the engine does', async () => {
    const roots = ['/srv/ada'];
    const engine = { available: true, mount_roots: roots };
    const other = new Opener();
    const late = new Store();
    const socket = new EventSocket(other.open);
    late.feed(socket);
    socket.connect();
    other.last.accept();
    other.last.answer('subscribe', engine, 'engine');
    await settle();
    other.last.receive({ type: 'engine', data: { available: false } });
    expect(late.state.mountRoots).toEqual(roots);
  });

  it('leaves the parts alone that an event is not about', () => {
    const { images } = store.state;
    event('containers', { event: 'changed', container: container() });
    expect(store.state.images).toBe(images);
  });
});

describe('an operation', () => {
  it('is shown while it runs', () => {
    event('operations', operation({ progress: 0.5 }));
    expect(store.state.current.map(({ progress }) => progress)).toEqual([0.5]);
    event('operations', operation({ state: 'succeeded' }));
    expect(store.state.current).toEqual([]);
  });

  it('stays when it fails, until somebody has read it', () => {
    event('operations', operation());
    event('operations', operation({ state: 'failed' }));
    expect(store.state.current).toHaveLength(1);
    store.dismiss('op-1');
    expect(store.state.current).toEqual([]);
  });

  it('is no news when it failed before this tab was there', () => {
    event('operations', operation({ state: 'failed' }));
    expect(store.state.current).toEqual([]);
  });

  it('is not set back by a reply that its events overtook', () => {
    event('operations', operation());
    event('operations', operation({ state: 'succeeded' }));
    store.putOperation(operation({ state: 'pending' }));
    expect(store.state.operations.get('op-1')?.state).toBe('succeeded');
  });

  it('can be waited for', async () => {
    event('operations', operation());
    const ended = store.ended('op-1');
    event('operations', operation({ state: 'cancelled' }));
    expect((await ended).state).toBe('cancelled');
  });

  it('is forgotten when there are many newer ones, unless it runs', () => {
    event('operations', operation({ id: 'op-running' }));
    for (let number = 0; number < 80; number += 1) {
      event(
        'operations',
        operation({ id: `op-${number}`, state: 'succeeded' })
      );
    }
    expect(store.state.operations.size).toBe(50);
    expect(store.state.operations.has('op-running')).toBe(true);
  });
});

describe('measuring', () => {
  const sample = (second: number, cpu: number) => ({
    cid: 1,
    timestamp: `2026-11-20T10:00:0${second}Z`,
    cpu_usage: cpu,
    memory_usage: 10
  });

  it('goes on from the last hour that the server remembers', async () => {
    store.measure();
    opener.last.answer(
      'subscribe',
      { history: { 1: [sample(1, 5)] } },
      'container-stats'
    );
    await settle();
    event('container-stats', { items: [sample(3, 7)] });
    expect(store.state.series.get(1)?.cpu).toEqual([5, 7]);
  });

  it('lasts as long as somebody looks', () => {
    const [one, two] = [store.measure(), store.measure()];
    one.dispose();
    expect(sent()).not.toContain('unsubscribe');
    two.dispose();
    expect(sent()).toContain('unsubscribe');
    store.measure();
    const subscribed = opener.last.frames.filter(
      ({ type, data }) =>
        type === 'subscribe' && data['topic'] === 'container-stats'
    );
    expect(subscribed).toHaveLength(2);
  });
});

describe('a deed', () => {
  it('shows until it is done', () => {
    const listener = vi.fn();
    store.subscribe(listener);
    const deed = store.begin(1, 'stopping');
    expect(store.state.deeds.get(1)).toBe('stopping');
    deed.dispose();
    expect(store.state.deeds.size).toBe(0);
    expect(listener).toHaveBeenCalledTimes(2);
  });
});

function sent(): string[] {
  return opener.last.frames.map(({ type }) => type);
}
