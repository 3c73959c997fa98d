import { beforeEach, describe, expect, it, vi } from 'vitest';

import type { Api } from '../src/model/api';
import type { ApiKey, AuditEntry, User } from '../src/model/people';
import { PeopleApi } from '../src/model/peopleapi';
import { PeopleStore } from '../src/model/peoplestore';
import { ApiError, readReply } from '../src/model/reply';
import { expiryOf, LOOK, newPassword, scopesOf } from '../src/model/scopes';
import { until } from '../src/model/format';
import { EventSocket } from '../src/model/socket';
import { Opener, settle } from './sockets';

type Ask = (
  method: string,
  path: string,
  query?: Record<string, string>,
  body?: object
) => Promise<unknown>;

let answers: Record<string, unknown>;
let ask: ReturnType<typeof vi.fn<Ask>>;
let people: PeopleStore;

function user(part: Partial<User> = {}): User {
  return {
    id: 'user-2',
    username: 'eve',
    role: 'user',
    email: null,
    enabled: true,
    permissions: [],
    created_at: '2026-11-20T10:00:00Z',
    last_login: null,
    ...part
  };
}

function key(id: string): ApiKey {
  return {
    id,
    name: 'backup',
    hint: 'jx_abcdef',
    scopes: null,
    created_at: '2026-11-20T10:00:00Z',
    expires_at: null,
    last_used_at: null,
    owner: 'ada'
  };
}

function entry(id: number): AuditEntry {
  return {
    id,
    at: '2026-11-20T10:00:00Z',
    username: 'ada',
    credential: 'jupyter:user-1',
    address: '127.0.0.1',
    action: 'container:create',
    target: 'web',
    status: 201,
    outcome: 'succeeded',
    message: ''
  };
}

beforeEach(() => {
  answers = {
    'GET currentUser': {
      user: { id: 'user-1', username: 'ada', role: 'admin' }
    },
    'GET api-keys': { api_keys: [key('key-2'), key('key-1')] }
  };
  ask = vi.fn<Ask>((method, path) => {
    const answer = answers[`${method} ${path}`];
    if (answer instanceof Error) {
      return Promise.reject(answer);
    }
    return answer === undefined
      ? Promise.reject(new ApiError('There is no such route.', 404))
      : Promise.resolve(answer);
  });
  people = new PeopleStore(new PeopleApi({ ask } as unknown as Api));
});

describe('the reader’s account', () => {
  it('is asked for, with the keys of nobody else', async () => {
    await people.refresh();
    expect(people.state.me?.username).toBe('ada');
    expect(people.state.keys).toMatchObject({
      state: 'there',
      value: [{ id: 'key-2' }, { id: 'key-1' }]
    });
    expect(ask.mock.calls.find(([, path]) => path === 'api-keys')?.[2]).toEqual(
      { owner: 'ada', limit: '500' }
    );
  });

  it('has no limits where the server knows of none', async () => {
    await people.refresh();
    expect(people.state.quotas).toBeNull();
    answers['GET quota'] = { quotas: { containers: { limit: 3, used: 1 } } };
    await people.refreshQuotas();
    expect(people.state.quotas?.[0]?.[0]).toBe('containers');
  });

  it('says why its keys are not there', async () => {
    answers['GET api-keys'] = new ApiError('The store is away.', 503);
    await people.refresh();
    expect(people.state.keys.state).toBe('failed');
  });

  it('forgets a key as soon as it is revoked', async () => {
    answers['DELETE api-keys/key-1'] = {};
    await people.refresh();
    await people.revokeKey('key-1');
    expect(people.state.keys).toMatchObject({ value: [{ id: 'key-2' }] });
  });
});

describe('users', () => {
  let opener: Opener;

  beforeEach(() => {
    opener = new Opener();
    const socket = new EventSocket(opener.open);
    people.feed(socket);
    socket.connect();
    opener.last.accept();
  });

  it('are known apart from the reader', async () => {
    const ada = { id: 'user-1', username: 'ada', role: 'admin' };
    opener.last.answer('auth', { user: ada });
    await settle();
    expect(people.state.me).toEqual(ada);
  });

  it('are followed by whoever may', async () => {
    opener.last.answer('subscribe', { items: [user()] }, 'users');
    await settle();
    expect(people.state.users?.get('user-2')?.username).toBe('eve');
    const data = { event: 'changed', user: user({ enabled: false }) };
    opener.last.receive({ type: 'users', data });
    expect(people.state.users?.get('user-2')?.enabled).toBe(false);
    opener.last.receive({
      type: 'users',
      data: { event: 'removed', id: 'user-2' }
    });
    expect(people.state.users?.size).toBe(0);
  });

  it('stay unknown to everybody else', async () => {
    const request = opener.last.frames.find(
      ({ data }) => data['topic'] === 'users'
    );
    opener.last.receive({
      type: 'error',
      id: request?.id,
      data: { code: 'FORBIDDEN', message: 'Not yours.' }
    });
    await settle();
    expect(people.state.users).toBeNull();
  });

  it('go with what was said of their things', async () => {
    answers['DELETE users/user-2'] = {};
    await people.deleteUser('user-2', { things: 'refuse', to: 'ada' });
    await people.deleteUser('user-2', { things: 'transfer', to: 'ada' });
    await people.deleteUser('user-2', { things: 'purge', to: 'ada' });
    expect(ask.mock.calls.map(([, , query]) => query)).toEqual([
      {},
      { transfer_to: 'ada' },
      { purge: 'true' }
    ]);
  });
});

describe('the audit', () => {
  it('is hidden where there is none, or not for the reader', async () => {
    await people.refreshAudit();
    expect(people.state.audit).toBeNull();
    answers['GET audit'] = new ApiError('Not yours.', 403);
    await people.refreshAudit();
    expect(people.state.audit).toBeNull();
  });

  it('goes on where the page ended', async () => {
    answers['GET audit'] = { entries: [entry(9), entry(8)], next: 8 };
    await people.refreshAudit({ user: 'ada', action: 'container:*' });
    answers['GET audit'] = { entries: [entry(7)], next: null };
    await people.moreAudit();
    expect(ask.mock.calls.at(-1)?.[2]).toEqual({
      limit: '50',
      user: 'ada',
      action: 'container:*',
      before: '8'
    });
    expect(people.state.audit).toMatchObject({
      value: { entries: [{ id: 9 }, { id: 8 }, { id: 7 }], next: null }
    });
    await people.moreAudit();
    expect(ask).toHaveBeenCalledTimes(2);
  });

  it('shows what was asked for last, whatever comes last', async () => {
    let late: (value: unknown) => void = () => undefined;
    ask.mockReturnValueOnce(new Promise(resolve => (late = resolve)));
    const first = people.refreshAudit({ user: 'eve', action: '' });
    answers['GET audit'] = { entries: [entry(5)], next: null };
    await people.refreshAudit({ user: '', action: '' });
    late({ entries: [entry(1)], next: null });
    await first;
    expect(people.state.audit).toMatchObject({
      value: { entries: [{ id: 5 }] }
    });
  });
});

describe('a key to be', () => {
  it('opens what was chosen', () => {
    expect(
      scopesOf({ container: 'all', image: 'read', event: 'none' })
    ).toEqual(['container:*', 'image:read']);
    expect(scopesOf({})).toEqual([]);
    expect(LOOK.every(scope => scope.endsWith(':read'))).toBe(true);
  });

  it('ends when it was asked to', () => {
    const now = Date.parse('2026-11-21T12:00:00Z');
    expect(expiryOf('never', '', now)).toBeUndefined();
    expect(expiryOf('30', '', now)).toBe('2026-12-21T12:00:00.000Z');
    const day = expiryOf('date', '2027-01-31', now) ?? '';
    expect(new Date(day).getHours()).toBe(23);
  });

  it('tells how long it still lives', () => {
    const now = Date.parse('2026-11-21T12:00:05Z');
    expect(until('2026-12-21T12:00:00Z', 'en', now)).toBe('in 30 days');
    expect(until('2026-11-24T12:00:00Z', 'en', now)).toBe('in 3 days');
    expect(until('2026-11-21T12:00:09Z', 'en', now)).toBe('in 1 minute');
    expect(until('2026-11-21T12:00:00Z', 'en', now)).toBe('');
  });

  it('comes with passwords that differ', () => {
    expect(newPassword()).toHaveLength(16);
    expect(newPassword()).not.toBe(newPassword());
  });
});

describe('a reply about people', () => {
  it('is read out of the envelope of machines', () => {
    const text = '{"success":true,"data":{"roles":[]},"message":""}';
    expect(readReply(200, text)).toEqual({ done: true, data: { roles: [] } });
  });

  it('names fields, and facts of a refusal', () => {
    const refused = (status: number, details: object): ApiError => {
      const error = { code: 'X', message: 'No.', details };
      try {
        readReply(status, JSON.stringify({ error }));
      } catch (reason) {
        return reason as ApiError;
      }
      throw new Error('It was not refused.');
    };
    expect(refused(400, { password: 'is too short' }).problems).toEqual([
      { field: 'password', message: 'is too short' }
    ]);
    const conflict = refused(409, { user: 'eve', owns: ['container web'] });
    expect(conflict.problems).toEqual([]);
    expect(conflict.details['owns']).toEqual(['container web']);
  });
});
