import { beforeEach, describe, expect, it, vi } from 'vitest';

import type { Api } from '../src/model/api';
import {
  cellsOf,
  Database,
  DatabaseWish,
  isOwn,
  listed,
  notebookOf,
  refusalOf,
  toNewDatabase
} from '../src/model/databases';
import { DatabaseStore } from '../src/model/databasestore';
import { ApiError, readReply } from '../src/model/reply';
import { EventSocket } from '../src/model/socket';
import { Store } from '../src/model/store';
import { Opener, settle } from './sockets';
import { operation } from './things';

const ADMIN = { username: 'ada', admin: true };
const EVE = { username: 'eve', admin: false };

function database(part: Partial<Database> = {}): Database {
  return {
    name: 'mydb',
    owner: 'eve',
    size: null,
    size_bytes: null,
    size_at: null,
    created_at: '2026-11-20T10:00:00Z',
    system: false,
    ...part
  };
}

function wish(part: Partial<DatabaseWish> = {}): DatabaseWish {
  return { name: 'mydb', extensions: '', owner: '', template: '', ...part };
}

/** What the form shows of a refusal, by field. */
function refused(
  status: number,
  message: string,
  details: object
): Record<string, string> {
  try {
    readReply(
      status,
      JSON.stringify({ error: { code: 'X', message, details } })
    );
  } catch (reason) {
    const { problems } = refusalOf(reason) as ApiError;
    return Object.fromEntries(problems.map(p => [p.field, p.message]));
  }
  throw new Error('It was not refused.');
}

describe('the databases', () => {
  type Ask = (
    method: string,
    path: string,
    query?: Record<string, string>,
    body?: object
  ) => Promise<unknown>;
  let opener: Opener;
  let ask: ReturnType<typeof vi.fn<Ask>>;
  let createDatabase: ReturnType<typeof vi.fn>;
  let cloneDatabase: ReturnType<typeof vi.fn>;
  let store: Store;
  let databases: DatabaseStore;

  beforeEach(() => {
    opener = new Opener();
    const socket = new EventSocket(opener.open);
    socket.connect();
    opener.last.accept();
    ask = vi.fn<Ask>();
    createDatabase = vi.fn();
    cloneDatabase = vi.fn();
    store = new Store();
    databases = new DatabaseStore(
      { ask, createDatabase, cloneDatabase } as unknown as Api,
      socket,
      store
    );
  });

  const names = () => [...(databases.state.items?.keys() ?? [])];
  const see = async (...items: Database[]) => {
    const following = databases.follow();
    opener.last.answer('subscribe', { items }, 'databases');
    await settle();
    return following;
  };
  const hear = async (event: string, name: string) => {
    opener.last.receive({ type: 'databases', data: { event, name } });
    await settle();
  };

  it('are asked for by nobody but whoever follows them', async () => {
    expect(opener.last.frames).toEqual([]);
    const following = await see(database());
    expect(names()).toEqual(['mydb']);
    following.dispose();
    expect(opener.last.frames.at(-1)).toMatchObject({
      type: 'unsubscribe',
      data: { topic: 'databases' }
    });
  });

  it('come and go as others make and delete them', async () => {
    await see(database());
    ask.mockResolvedValueOnce(database({ name: 'a/b ?' }));
    await hear('created', 'a/b ?');
    expect(ask).toHaveBeenCalledWith('GET', 'databases/a%2Fb%20%3F');
    expect(names()).toEqual(['mydb', 'a/b ?']);
    await hear('deleted', 'mydb');
    expect(names()).toEqual(['a/b ?']);
    // One that was deleted before it could be looked at.
    ask.mockRejectedValueOnce(new ApiError('Gone.', 404));
    await hear('created', 'short');
    expect(names()).toEqual(['a/b ?']);
  });

  it('say why there are none, until the server has some', async () => {
    databases.follow();
    const request = opener.last.frames.at(-1);
    const details = { what: 'Not installed.', cure: 'Install `it`.' };
    const data = { code: 'UNAVAILABLE', message: 'Not installed. …', details };
    opener.last.receive({ type: 'error', id: request?.id, data });
    await settle();
    expect(databases.state).toEqual({ items: null, refusal: details });
    databases.retry();
    expect(databases.state.refusal).toBeNull();
    opener.last.answer('subscribe', { items: [database()] }, 'databases');
    await settle();
    expect(names()).toEqual(['mydb']);
  });

  it('are made by an operation that the panel shows', async () => {
    await see();
    const making = operation({ kind: 'database.create', subject: 'mydb' });
    createDatabase.mockResolvedValueOnce({ done: false, operation: making });
    expect(await databases.create({ name: 'mydb' })).toEqual(making);
    expect(store.state.current).toEqual([making]);
    cloneDatabase.mockResolvedValueOnce({
      done: true,
      data: database({ name: 'copy' })
    });
    expect(await databases.clone('my/db', 'copy', true)).toBeNull();
    expect(cloneDatabase).toHaveBeenCalledWith('databases/my%2Fdb', {
      name: 'copy',
      schema_only: true
    });
    expect(names()).toEqual(['copy']);
  });

  it('stay when a deletion is refused', async () => {
    await see(database());
    ask.mockRejectedValueOnce(new ApiError('1 session is in mydb.', 409));
    await expect(databases.remove('mydb', false)).rejects.toThrow('session');
    expect(names()).toEqual(['mydb']);
    ask.mockResolvedValueOnce({ name: 'mydb', status: 'deleted' });
    await databases.remove('mydb', true);
    expect(names()).toEqual([]);
    expect(ask.mock.calls.map(([, , query]) => query)).toEqual([
      {},
      { force: 'true' }
    ]);
  });

  it('are measured when somebody asks for it', async () => {
    await see(database());
    ask.mockResolvedValueOnce({ databases: [database({ size: '7.5 MB' })] });
    await databases.measure();
    expect(databases.state.items?.get('mydb')?.size).toBe('7.5 MB');
    expect(ask.mock.calls[0]?.[2]).toMatchObject({ fresh: 'true' });
  });

  it('keep no password', async () => {
    await see(database());
    ask.mockResolvedValueOnce({ url: 'postgresql://eve:s3cret@h/mydb' });
    expect(await databases.connectionUrl('mydb')).toContain('s3cret');
    expect(JSON.stringify([...(databases.state.items ?? [])])).not.toContain(
      's3cret'
    );
  });
});

describe('what is listed', () => {
  const all = [
    database({ name: 'postgres', owner: 'dba', system: true }),
    database({ name: 'b' }),
    database({ name: 'a' })
  ];

  it("has PostgreSQL's own databases last, for administrators alone", () => {
    const shown = (reader: typeof EVE) =>
      listed(all, reader).map(({ name }) => name);
    expect(shown(ADMIN)).toEqual(['a', 'b', 'postgres']);
    expect(shown(EVE)).toEqual(['a', 'b']);
  });

  it("is cloned and deleted by its owner, and the administrator's all", () => {
    expect(isOwn(database(), EVE)).toBe(true);
    expect(isOwn(database({ owner: 'bob' }), EVE)).toBe(false);
    expect(isOwn(database(), ADMIN)).toBe(true);
  });
});

describe('a database to be', () => {
  it('is asked for by what was written', () => {
    expect(toNewDatabase(wish({ name: ' mydb ' }))).toEqual({ name: 'mydb' });
    expect(
      toNewDatabase(
        wish({ extensions: 'pg_trgm, ,hstore ', owner: 'bob', template: 't' })
      )
    ).toEqual({
      name: 'mydb',
      owner: 'bob',
      template: 't',
      extensions: ['pg_trgm', 'hstore']
    });
  });

  it('is refused at the field that is wrong', () => {
    const taken = 'There is a database x already. Choose another name.';
    expect(refused(409, taken, { database: 'x', name: 'is taken' })).toEqual({
      name: taken
    });
    expect(
      refused(409, '2 sessions are in t.', {
        database: 't',
        template: 'is in use'
      })
    ).toEqual({ template: '2 sessions are in t.' });
    expect(
      refused(400, 'x', {
        'extensions.0': "the extension 'a' is not installed",
        'extensions.2': "the extension 'b' is not installed",
        name: 'is needed'
      })
    ).toEqual({
      extensions:
        "the extension 'a' is not installed; the extension 'b' is not installed",
      name: 'is needed'
    });
    expect(refused(404, 'There is no user.', { owner: 'bob' })).toEqual({
      owner: 'There is no user.'
    });
    expect(refused(404, 'No database.', { database: 't' })).toEqual({
      template: 'No database.'
    });
    expect(refused(503, 'Not installed.', { what: 'Not installed.' })).toEqual(
      {}
    );
    const other = new Error('x');
    expect(refusalOf(other)).toBe(other);
  });
});

describe('a notebook in a database', () => {
  const use = (name: string) => cellsOf(name)[0]?.split('\n')[1];

  it('names it as a shell would', () => {
    expect(use('my-db.1')).toBe('%database use my-db.1');
    expect(use('my db?')).toBe("%database use 'my db?'");
    expect(use("o'hara")).toBe(`%database use 'o'"'"'hara'`);
    expect(use('größe')).toBe("%database use 'größe'");
    expect(use('-x')).toBe('%database use -- -x');
  });

  it('has run nothing', () => {
    const { cells, metadata } = notebookOf('mydb', {
      name: 'python3',
      display_name: 'Python 3'
    });
    expect(cells.map(cell => cell.outputs)).toEqual([[], []]);
    expect(cells.map(cell => cell.execution_count)).toEqual([null, null]);
    expect(metadata).toMatchObject({ kernelspec: { name: 'python3' } });
    expect(notebookOf('mydb', null).metadata).toEqual({
      language_info: { name: 'python' }
    });
  });
});
