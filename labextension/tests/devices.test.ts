import type { TranslationBundle } from '@jupyterlab/translation';
import { beforeEach, describe, expect, it, vi } from 'vitest';

import type { Api } from '../src/model/api';
import {
  checkDevice,
  Device,
  DeviceWish,
  emptyWish,
  refusalOf,
  toChange,
  toNewDevice,
  trustedKey,
  wayOf,
  wishOf
} from '../src/model/devices';
import { DeviceStore } from '../src/model/devicestore';
import { lasting } from '../src/model/format';
import { isAdministrator } from '../src/model/people';
import { ApiError, readReply } from '../src/model/reply';
import { EventSocket } from '../src/model/socket';
import { isReached } from '../src/model/types';
import { deviceCure, deviceTone } from '../src/view/devicestatus';
import { Opener, settle } from './sockets';

const KEY = `SHA256:${'k'.repeat(43)}`;
const ADDRESS = 'ssh://docker@gpu2.lab';

function device(part: Partial<Device> = {}): Device {
  return {
    did: 2,
    name: 'gpu2',
    state: 'ready',
    since: '2026-11-20T10:00:00Z',
    problem: null,
    address: ADDRESS,
    node: null,
    bind_address: '10.0.0.2',
    cpu_name: 'AMD EPYC 7313',
    total_cpu: 16,
    used_cpu: 2,
    total_memory: 64e9,
    used_memory: 8e9,
    gpus: [],
    used_gpus: [],
    containers: 0,
    ...part
  };
}

function wish(part: Partial<DeviceWish> = {}): DeviceWish {
  return { ...emptyWish(), name: 'gpu2', address: ADDRESS, ...part };
}

/** What the server's refusal becomes in the form. */
function refused(
  status: number,
  message: string,
  details: object,
  asked = wish()
): ApiError {
  try {
    readReply(
      status,
      JSON.stringify({ error: { code: 'X', message, details } })
    );
  } catch (reason) {
    return refusalOf(reason, asked, 'Confirm it.') as ApiError;
  }
  throw new Error('It was not refused.');
}

describe('the devices', () => {
  type Ask = (
    method: string,
    path: string,
    query?: Record<string, string>,
    body?: object
  ) => Promise<unknown>;
  let opener: Opener;
  let ask: ReturnType<typeof vi.fn<Ask>>;
  let store: DeviceStore;

  beforeEach(() => {
    opener = new Opener();
    const socket = new EventSocket(opener.open);
    socket.connect();
    opener.last.accept();
    ask = vi.fn<Ask>();
    store = new DeviceStore({ ask } as unknown as Api, socket);
  });

  const asked = () => opener.last.frames.map(({ data }) => data['topic']);

  it('are asked for by nobody but whoever follows them', async () => {
    expect(asked()).not.toContain('devices');
    const following = store.follow();
    expect(asked()).toContain('devices');
    opener.last.answer('subscribe', { devices: [device()] }, 'devices');
    await settle();
    expect(store.state.items?.get(2)?.state).toBe('ready');
    const lost = device({ state: 'lost', problem: 'No answer.' });
    opener.last.receive({ type: 'devices', data: { devices: [lost] } });
    expect(store.state.items?.get(2)?.problem).toBe('No answer.');
    following.dispose();
    expect(opener.last.frames.at(-1)).toMatchObject({
      type: 'unsubscribe',
      data: { topic: 'devices' }
    });
  });

  it('are unknown to whom they are refused', async () => {
    store.follow();
    const request = opener.last.frames.at(-1);
    const data = { code: 'FORBIDDEN', message: 'Not yours.' };
    opener.last.receive({ type: 'error', id: request?.id, data });
    await settle();
    expect(store.state.items).toBeNull();
  });

  it('show at once what a reply says', async () => {
    store.follow();
    opener.last.answer('subscribe', { devices: [device()] }, 'devices');
    await settle();
    ask.mockResolvedValueOnce(device({ state: 'draining' }));
    await store.change(2, { draining: true });
    expect(store.state.items?.get(2)?.state).toBe('draining');
    ask.mockResolvedValueOnce(device({ did: 3, name: 'gpu3' }));
    await store.add({ name: 'gpu3', address: 'ssh://gpu3' });
    expect(store.state.items?.size).toBe(2);
    ask.mockResolvedValue({});
    await store.remove(3, false);
    await store.remove(2, true);
    expect(store.state.items?.size).toBe(0);
    expect(
      ask.mock.calls.map(([method, path, query]) => [
        `${method} ${path}`,
        query
      ])
    ).toEqual([
      ['PUT devices/2', {}],
      ['POST devices', {}],
      ['DELETE devices/3', {}],
      ['DELETE devices/2', { force: 'true' }]
    ]);
  });

  it('stay when a removal is refused', async () => {
    store.follow();
    opener.last.answer('subscribe', { devices: [device()] }, 'devices');
    await settle();
    ask.mockRejectedValueOnce(new ApiError('Containers are left.', 409));
    await expect(store.remove(2, false)).rejects.toThrow('are left');
    expect(store.state.items?.has(2)).toBe(true);
  });
});

describe('a device to be', () => {
  it('is asked for by what its address needs', () => {
    expect(['ssh://a', 'TCP://a:1', 'https://a', 'a', ''].map(wayOf)).toEqual([
      'ssh',
      'tls',
      'tls',
      null,
      null
    ]);
    const tls = wish({ address: ' tcp://gpu3:2376 ', certificates: '/etc/c ' });
    expect(toNewDevice(tls)).toEqual({
      name: 'gpu2',
      address: 'tcp://gpu3:2376',
      certificates: '/etc/c'
    });
    // What was typed before the address was another one is not sent.
    expect(toNewDevice({ ...tls, address: ADDRESS })).toEqual({
      name: 'gpu2',
      address: ADDRESS
    });
    expect(toNewDevice(wish({ bindAddress: '10.0.0.9' }))).toMatchObject({
      bind_address: '10.0.0.9'
    });
  });

  it('misses what can be seen to be missing', () => {
    const words = { required: 'needed', certificates: 'TLS' };
    expect(checkDevice(emptyWish(), words)).toEqual({
      name: 'needed',
      address: 'needed'
    });
    expect(checkDevice(wish({ address: 'tcp://a:1' }), words)).toEqual({
      certificates: 'TLS'
    });
    expect(checkDevice(wish(), words)).toEqual({});
    // One that is there keeps what it has.
    const there = device({ address: 'tcp://a:1' });
    expect(checkDevice(wishOf(there), words)).toEqual({});
    expect(checkDevice(wishOf(device({ address: null })), words)).toEqual({});
  });

  it('is told apart from what it was', () => {
    const far = device();
    expect(toChange(wishOf(far), far)).toEqual({});
    expect(toChange({ ...wishOf(far), name: 'big' }, far)).toEqual({
      name: 'big'
    });
    const moved = { ...wishOf(far), address: 'ssh://new' };
    const trusted = { address: 'ssh://new', fingerprint: KEY };
    expect(toChange({ ...moved, trusted }, far)).toEqual({
      address: 'ssh://new',
      host_key: KEY
    });
    const tls = device({ address: 'tcp://a:1' });
    expect(toChange({ ...wishOf(tls), certificates: '/new' }, tls)).toEqual({
      certificates: '/new'
    });
  });

  it('is trusted by the key of its own address alone', () => {
    const trusted = { address: ADDRESS, fingerprint: KEY };
    expect(trustedKey(wish({ trusted }))).toBe(KEY);
    expect(toNewDevice(wish({ trusted }))).toMatchObject({ host_key: KEY });
    const other = wish({ trusted, address: 'ssh://elsewhere' });
    expect(trustedKey(other)).toBeUndefined();
    expect(toNewDevice(other)).not.toHaveProperty('host_key');
  });
});

describe('a refusal', () => {
  it('shows the key that is to be confirmed', () => {
    const said = refused(409, 'The host shows a key.', {
      device: 'gpu2',
      host_key: `is needed: ${KEY}`
    });
    expect(said.problems).toEqual([
      { field: 'host_key', message: 'Confirm it.' }
    ]);
    expect(said.details).toEqual({
      shown: { address: ADDRESS, fingerprint: KEY }
    });
  });

  it('never offers a key instead of the one that was confirmed', () => {
    const trusted = {
      address: ADDRESS,
      fingerprint: `SHA256:${'x'.repeat(43)}`
    };
    const said = refused(
      409,
      'Somebody is between.',
      { device: 'gpu2', host_key: `is not the host's: ${KEY}` },
      wish({ trusted })
    );
    expect(said.problems).toEqual([
      { field: 'host_key', message: 'Somebody is between.' }
    ]);
    expect(said.details).not.toHaveProperty('shown');
  });

  it('names the field', () => {
    const told = (status: number, details: object) =>
      refused(status, 'No.', details).problems;
    expect(told(400, { address: 'must be ssh://' })).toEqual([
      { field: 'address', message: 'must be ssh://' }
    ]);
    // The name of what it is about is no field.
    expect(told(409, { device: 'gpu2', name: 'is taken' })).toEqual([
      { field: 'name', message: 'is taken' }
    ]);
    expect(told(503, { what: 'No answer.', cure: 'Look.' })).toEqual([
      { field: 'address', message: 'No.' }
    ]);
    expect(told(409, { device: 'gpu2' })).toEqual([]);
    const away = new ApiError('Failed to fetch', 0);
    expect(refusalOf(away, wish(), '')).toBe(away);
  });
});

describe('words about devices', () => {
  const fill = (text: string, values: readonly unknown[]) =>
    text.replace(/%(\d)/g, (_, place) => String(values[Number(place) - 1]));
  const trans = {
    __: (text: string, ...values: unknown[]) => fill(text, values),
    _n: (one: string, many: string, n: number, ...values: unknown[]) =>
      fill(n === 1 ? one : many, [n, ...values])
  } as unknown as TranslationBundle;

  it('say how long', () => {
    const now = Date.parse('2026-11-20T10:00:00Z');
    expect(lasting('2026-11-20T09:59:30Z', 'en', now)).toBe('');
    expect(lasting('2026-11-20T09:57:00Z', 'en', now)).toBe('3 minutes');
    expect(lasting('2026-11-19T09:57:00Z', 'en', now)).toBe('1 day');
    expect(lasting('', 'en', now)).toBe('');
  });

  it('say what to do where something is wrong, and nothing else', () => {
    expect(deviceCure(trans, device())).toBe('');
    const lost = deviceCure(
      trans,
      device({ state: 'lost', problem: 'Docker does not answer.' })
    );
    expect(lost).toContain('Docker does not answer.');
    expect(lost).toContain('remove it');
    // This machine's own can't be removed.
    const own = device({ did: 1, state: 'lost', problem: 'Start it.' });
    expect(deviceCure(trans, own)).toBe('Start it.');
    const draining = device({ state: 'draining', containers: 1 });
    expect(deviceCure(trans, draining)).toContain('1 container is left');
    for (const state of ['draining', 'no-address', 'down', 'left'] as const) {
      expect(deviceCure(trans, device({ state })), state).not.toBe('');
    }
    expect(deviceTone('lost')).toBe('bad');
  });
});

describe('who may do what', () => {
  it('is an administrator with devices', () => {
    const me = { id: 'user-1', username: 'ada', role: 'admin' };
    expect(isAdministrator(me)).toBe(true);
    expect(isAdministrator({ ...me, role: 'operator' })).toBe(false);
    expect(isAdministrator(null)).toBe(false);
  });

  it('is nobody with a container whose device is away', () => {
    expect(isReached({ status: 'lost' })).toBe(false);
    expect(isReached({ status: 'exited' })).toBe(true);
  });
});
