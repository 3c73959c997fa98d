import { nullTranslator } from '@jupyterlab/translation';
import { beforeEach, describe, expect, it, vi } from 'vitest';

import type { Api } from '../src/model/api';
import {
  GROUPS,
  Part,
  restorable,
  Snapshot,
  thingOf,
  toNewSnapshot
} from '../src/model/snapshots';
import { SnapshotStore } from '../src/model/snapshotstore';
import { EventSocket } from '../src/model/socket';
import { Store } from '../src/model/store';
import { partName, partState, replacedWords } from '../src/view/snapshotwords';
import { Opener, settle } from './sockets';
import { operation } from './things';

const trans = nullTranslator.load('');

function part(name: string, more: Partial<Part> = {}): Part {
  const [kind = ''] = name.split(':');
  return {
    name,
    kind: kind as Part['kind'],
    state: 'kept',
    reason: null,
    size_bytes: 1,
    stored_bytes: 1,
    moment: null,
    place: null,
    not_in_it: [],
    ...more
  };
}

function snapshot(name: string, ...parts: readonly Part[]): Snapshot {
  return {
    name,
    description: '',
    owner: 'ann',
    created_at: '2026-11-20T10:00:00Z',
    size_bytes: 2,
    stored_bytes: 1,
    parts
  };
}

describe('the parts of a snapshot', () => {
  it('are called by what they are, whatever their names hold', () => {
    const odd = part('database:a:b/c');
    expect(thingOf(odd)).toBe('a:b/c');
    expect(partName(trans, odd)).toBe('database a:b/c');
    expect(partName(trans, part('container:box'))).toBe('container box');
    expect(partName(trans, part('files'))).toBe('files');
  });

  it('say where they are not as they should be', () => {
    expect(partState(trans, part('files'))).toBe('');
    expect(partState(trans, part('files', { reason: '2 files …' }))).toBe(
      'not complete'
    );
    expect(partState(trans, part('files', { state: 'gone' }))).toBe('gone');
  });

  it('are restored only where they are kept', () => {
    const parts = [
      part('files'),
      part('container:box', { state: 'gone' }),
      part('database:shop', { state: 'left_out' })
    ];
    expect(restorable(snapshot('one', ...parts))).toEqual([parts[0]]);
  });

  it('tell what they replace: nothing where nothing is there', () => {
    const shop = part('database:shop', { moment: '2026-11-20T10:00:00Z' });
    const words = (there: boolean | null) =>
      replacedWords(trans, shop, there, 'en');
    expect(words(true)).toContain('it stays as shop.before-');
    expect(words(null)).toBe(words(true));
    expect(words(false)).not.toContain('Replaces');
    expect(
      replacedWords(trans, part('files', { place: '/home/ann' }), null, 'en')
    ).toContain('/home/ann');
  });
});

describe('a snapshot to be', () => {
  it('names its parts only where some are left out', () => {
    const wish = { name: ' one ', description: '' };
    expect(toNewSnapshot({ ...wish, groups: GROUPS })).toEqual({
      name: 'one',
      description: ''
    });
    const some = toNewSnapshot({
      ...wish,
      groups: ['containers', 'databases']
    });
    expect(some.parts).toEqual(['databases', 'containers']);
  });
});

describe('the snapshots', () => {
  type Ask = (...words: readonly unknown[]) => Promise<unknown>;
  let opener: Opener;
  let ask: ReturnType<typeof vi.fn<Ask>>;
  let begin: ReturnType<typeof vi.fn<Ask>>;
  let store: Store;
  let snapshots: SnapshotStore;

  beforeEach(() => {
    opener = new Opener();
    const socket = new EventSocket(opener.open);
    socket.connect();
    opener.last.accept();
    ask = vi.fn<Ask>();
    begin = vi.fn<Ask>();
    store = new Store();
    const api = { ask, begin } as unknown as Api;
    snapshots = new SnapshotStore(api, socket, store);
  });

  const names = () => [...(snapshots.state.items?.keys() ?? [])];

  it('are looked at anew whenever something happens to one', async () => {
    const following = snapshots.follow();
    opener.last.answer('subscribe', { items: [snapshot('one')] }, 'snapshots');
    await settle();
    expect(names()).toEqual(['one']);
    ask.mockResolvedValueOnce({
      snapshots: [snapshot('before one'), snapshot('one')]
    });
    opener.last.receive({
      type: 'snapshots',
      data: { event: 'restored', name: 'one' }
    });
    await settle();
    expect(names()).toEqual(['before one', 'one']);
    following.dispose();
    expect(opener.last.frames.at(-1)).toMatchObject({ type: 'unsubscribe' });
  });

  it('keep what they were where they can’t be looked at', async () => {
    snapshots.follow();
    opener.last.answer('subscribe', { items: [snapshot('one')] }, 'snapshots');
    await settle();
    ask.mockRejectedValueOnce(new Error('away'));
    opener.last.receive({
      type: 'snapshots',
      data: { event: 'deleted', name: 'one' }
    });
    await settle();
    expect(names()).toEqual(['one']);
  });

  it('are begun as work that is followed, whatever their names hold', async () => {
    const work = operation({ kind: 'snapshot.restore', subject: 'a/b' });
    begin.mockResolvedValue({ done: false, operation: work });
    expect(await snapshots.restore('a/b', ['files'])).toEqual({
      operation: work,
      result: null
    });
    expect(begin).toHaveBeenCalledWith('POST', 'snapshots/a%2Fb/restore', {
      parts: ['files']
    });
    expect(store.state.operations.get(work.id)).toEqual(work);
  });

  it('hand over what had ended already, and are looked at again', async () => {
    const gone = { freed_bytes: 7, left: [] };
    begin.mockResolvedValueOnce({ done: true, data: gone });
    ask.mockResolvedValueOnce({ snapshots: [] });
    expect(await snapshots.remove('one')).toEqual({
      operation: null,
      result: gone
    });
    expect(begin).toHaveBeenCalledWith('DELETE', 'snapshots/one');
    await settle();
    expect(names()).toEqual([]);
    expect(snapshots.state.items).not.toBeNull();
  });
});
