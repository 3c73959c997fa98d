import { beforeEach, describe, expect, it, vi } from 'vitest';

import type { Api } from '../src/model/api';
import {
  Backup,
  earliest,
  extentOf,
  fittingTicks,
  fromField,
  isEnd,
  Lane,
  lanesOf,
  nearest,
  reaches,
  restorable,
  sourceFor,
  sourcesOf,
  ticksOf,
  toField,
  zoneOf
} from '../src/model/backups';
import type { Database } from '../src/model/databases';
import { BackupStore, restoreProblem } from '../src/model/backupstore';
import { ApiError, readReply } from '../src/model/reply';
import { EventSocket } from '../src/model/socket';
import { Store } from '../src/model/store';
import { Opener, settle } from './sockets';
import { operation } from './things';

const DAY = '2026-11-20T';

/** A moment of that day. */
function at(time: string): number {
  return Date.parse(`${DAY}${time}Z`);
}

function backup(
  id: string,
  time: string,
  timeline: number,
  ...windows: ReadonlyArray<readonly [number, string, string]>
): Backup {
  return {
    id,
    type: 'full',
    size_bytes: 1,
    cluster_bytes: 2,
    created_at: `${DAY}${time}Z`,
    seconds: 9,
    timeline,
    databases: ['shop'],
    files: [],
    files_bytes: 0,
    owner: 'eve',
    status: 'completed',
    verified_at: null,
    depends_on: [],
    recovery_window: windows.map(([number, from, to]) => ({
      timeline: number,
      from: `${DAY}${from}Z`,
      to: `${DAY}${to}Z`
    }))
  };
}

const NOW = at('18:00:00');
const FIRST = backup(
  'first',
  '08:00:00',
  1,
  [1, '08:00:10', '09:00:00'],
  [1, '10:00:00', '12:00:00'],
  [2, '11:00:00', '16:00:00']
);
const SECOND = backup('second', '11:30:00', 1, [1, '11:30:10', '12:00:00']);
const THIRD = backup('third', '14:00:00', 2, [2, '14:00:10', '16:00:00']);
const ALL = [FIRST, SECOND, THIRD];

function lane(timeline: number, all: readonly Backup[] = ALL): Lane {
  const found = lanesOf(all, NOW).find(each => each.timeline === timeline);
  if (!found) {
    throw new Error('There is no such timeline.');
  }
  return found;
}

describe('timelines', () => {
  it('are lanes with what can be restored, the newest first and up to now', () => {
    expect(lanesOf(ALL, NOW).map(each => each.timeline)).toEqual([2, 1]);
    expect(lane(1).spans).toEqual([
      { from: at('08:00:10'), to: at('09:00:00') },
      { from: at('10:00:00'), to: at('12:00:00') }
    ]);
    expect(lane(1).live).toBeNull();
    expect(lane(1).backups.map(({ id }) => id)).toEqual(['first', 'second']);
    expect(lane(2).spans).toEqual([
      { from: at('11:00:00'), to: at('16:00:00') }
    ]);
    expect(lane(2).live).toEqual({ from: at('16:00:00'), to: NOW });
    expect(lanesOf([], NOW)).toEqual([]);
  });

  it('begin with the end of a backup of which nothing is archived yet', () => {
    const fresh = backup('fresh', '17:00:00', 1);
    expect(earliest(fresh)).toBe(at('17:00:10'));
    expect(lane(1, [fresh]).live).toEqual({ from: at('17:00:10'), to: NOW });
    expect(sourcesOf([fresh], 1, at('17:30:00'))).toEqual([fresh]);
    expect(sourcesOf([fresh], 1, at('17:00:05'))).toEqual([]);
  });

  it('know which moments they reach, and the nearest of those they do not', () => {
    expect(reaches(lane(1), at('08:30:00'))).toBe(true);
    expect(reaches(lane(1), at('09:30:00'))).toBe(false);
    expect(reaches(lane(1), at('13:00:00'))).toBe(false);
    expect(reaches(lane(2), at('17:59:00'))).toBe(true);
    expect(nearest(lane(1), at('09:20:00'))).toBe(at('09:00:00'));
    expect(nearest(lane(1), at('09:40:00'))).toBe(at('10:00:00'));
    expect(nearest(lane(1), at('08:30:00') + 400)).toBe(at('08:30:00') + 400);
    expect(nearest(lane(1), at('01:00:00'))).toBe(at('08:00:10'));
    const nothing = { timeline: 1, spans: [], live: null, backups: [] };
    expect(nearest(nothing, NOW)).toBeNull();
  });

  it('are restored from the newest backup before the moment', () => {
    const ids = (timeline: number, moment: number) =>
      sourcesOf(ALL, timeline, moment).map(({ id }) => id);
    expect(ids(1, at('11:45:00'))).toEqual(['second', 'first']);
    expect(ids(1, at('11:00:00'))).toEqual(['first']);
    expect(ids(2, at('11:45:00'))).toEqual(['first']);
    expect(ids(2, NOW)[0]).toBe('third');
    expect(ids(2, at('07:00:00'))).toEqual([]);
  });

  it('offer what any of them has, and what was made since', () => {
    const older = { ...backup('older', '09:00:00', 1), databases: ['a', 'b'] };
    const newer = { ...backup('newer', '10:00:00', 1), databases: ['b'] };
    const sources = [newer, older];
    const made = (
      name: string,
      time: string,
      kept_until?: string
    ): Database => ({
      name,
      owner: 'ada',
      size: null,
      size_bytes: null,
      size_at: null,
      created_at: `${DAY}${time}Z`,
      system: false,
      kept_until
    });
    const now = [
      made('since', '10:30:00'),
      made('later', '12:00:00'),
      made('a.before', '10:10:00', `${DAY}23:00:00Z`),
      made('postgres', '01:00:00')
    ];
    expect(restorable(sources, at('11:00:00'), now)).toEqual([
      'a',
      'b',
      'since'
    ]);
    expect(restorable([], at('11:00:00'), now)).toEqual([]);
    expect(sourceFor(sources, ['a'])).toBe(older);
    expect(sourceFor(sources, ['b'])).toBe(newer);
    expect(sourceFor(sources, ['since', 'a'])).toBe(older);
    expect(sourceFor(sources, ['since'])).toBe(newer);
    expect(sourceFor([], [])).toBeUndefined();
  });

  it('are restored without WAL where their end is asked for and they have all', () => {
    const full = { ...backup('full', '09:00:00', 1), databases: ['a'] };
    expect(isEnd(full, earliest(full), ['a'])).toBe(true);
    expect(isEnd(full, earliest(full), [])).toBe(true);
    expect(isEnd(full, earliest(full) + 1000, ['a'])).toBe(false);
    // Made while it was taken.
    expect(isEnd(full, earliest(full), ['a', 'since'])).toBe(false);
  });

  it('are drawn from the first backup to now, and never as nothing', () => {
    expect(extentOf(lanesOf(ALL, NOW), NOW)).toEqual({
      from: at('08:00:00'),
      to: NOW
    });
    const fresh = [backup('fresh', '17:59:55', 1)];
    const { from, to } = extentOf(lanesOf(fresh, NOW), NOW);
    expect(to - from).toBe(60_000);
  });
});

describe('a moment', () => {
  it('is written on this clock and read back', () => {
    const text = toField(NOW);
    expect(text).toMatch(/^2026-11-2\dT\d\d:\d\d:\d\d$/);
    expect(fromField(text)).toBe(NOW);
    expect(fromField('')).toBeNull();
    expect(zoneOf(NOW, 'en')).toMatch(/GMT|UTC/);
  });

  it('stands at round ticks, never many of them', () => {
    const hour = ticksOf({ from: at('08:03:00'), to: at('09:01:00') }, 4);
    expect(hour.map(tick => (tick / 60_000) % 15)).toEqual([0, 0, 0, 0]);
    const months = ticksOf({ from: at('08:00:00') - 9e9, to: NOW }, 4);
    expect(months.length).toBeLessThanOrEqual(5);
    expect(months.length).toBeGreaterThan(1);
  });
});

describe('the words below a time line', () => {
  const WORDS = 50;
  const spans = [0, 1, 7, 29, 59].flatMap(second =>
    [60_000, 95_000, 3.6e6, 9e8].map(length => {
      const to = at('12:57:30') + second * 1000;
      return { from: to - length, to };
    })
  );

  it.each([70, 130, 210, 268, 555])(
    'lie within it and apart, in %i pixels',
    width => {
      for (const span of spans) {
        const middles = fittingTicks(span, width, WORDS).map(
          tick => ((tick - span.from) / (span.to - span.from)) * width
        );
        for (const [index, middle] of middles.entries()) {
          expect(middle - WORDS / 2).toBeGreaterThanOrEqual(-0.001);
          expect(middle + WORDS / 2).toBeLessThanOrEqual(width + 0.001);
          const before = middles[index - 1] ?? -Infinity;
          expect(middle - before).toBeGreaterThan(WORDS + 10);
        }
      }
    }
  );

  it('are there wherever there is room', () => {
    for (const span of spans) {
      expect(fittingTicks(span, 210, WORDS)).not.toEqual([]);
    }
    const [span] = spans;
    expect(span && fittingTicks(span, 40, WORDS)).toEqual([]);
    expect(span && fittingTicks(span, 0, 0)).toEqual([]);
  });
});

describe('the backups', () => {
  type Ask = (...words: readonly unknown[]) => Promise<unknown>;
  let opener: Opener;
  let ask: ReturnType<typeof vi.fn<Ask>>;
  let begin: ReturnType<typeof vi.fn<Ask>>;
  let store: Store;
  let backups: BackupStore;
  let restored: ReturnType<typeof vi.fn<() => void>>;

  beforeEach(() => {
    opener = new Opener();
    const socket = new EventSocket(opener.open);
    socket.connect();
    opener.last.accept();
    ask = vi.fn<Ask>();
    begin = vi.fn<Ask>();
    store = new Store();
    const api = { ask, begin } as unknown as Api;
    restored = vi.fn();
    backups = new BackupStore(api, socket, store, restored);
  });

  const ids = () => [...(backups.state.items?.keys() ?? [])];

  it('are looked at anew whenever something happens to one', async () => {
    expect(opener.last.frames).toEqual([]);
    const following = backups.follow();
    opener.last.answer('subscribe', { items: [FIRST] }, 'backups');
    await settle();
    expect(ids()).toEqual(['first']);
    ask.mockResolvedValueOnce({ backups: [THIRD, FIRST] });
    opener.last.receive({
      type: 'backups',
      data: { event: 'created', id: 'third' }
    });
    await settle();
    expect(ids()).toEqual(['third', 'first']);
    expect(restored).not.toHaveBeenCalled();
    ask.mockResolvedValueOnce({ backups: [FIRST] });
    opener.last.receive({ type: 'backups', data: { event: 'restored' } });
    await settle();
    expect(restored).toHaveBeenCalledOnce();
    following.dispose();
    expect(opener.last.frames.at(-1)).toMatchObject({ type: 'unsubscribe' });
  });

  it('are not listed as they were by a reply that another one overtook', async () => {
    let answer: (reply: unknown) => void = () => undefined;
    ask.mockReturnValueOnce(new Promise(resolve => (answer = resolve)));
    const earlier = backups.refresh();
    ask.mockResolvedValueOnce({ backups: [THIRD, FIRST] });
    await backups.refresh();
    answer({ backups: [FIRST] });
    await earlier;
    expect([...(backups.state.items?.keys() ?? [])]).toEqual([
      'third',
      'first'
    ]);
  });

  it('are begun as work that is followed', async () => {
    const work = operation({ kind: 'backup.create', subject: 'full backup' });
    begin.mockResolvedValue({ done: false, operation: work });
    expect(await backups.create({ type: 'full', files: ['a.txt'] })).toEqual(
      work
    );
    expect(begin).toHaveBeenCalledWith('POST', 'backups', {
      type: 'full',
      files: ['a.txt']
    });
    expect(store.state.operations.get(work.id)).toEqual(work);
    await backups.verify('a/b');
    expect(begin).toHaveBeenCalledWith('POST', 'backups/a%2Fb/verify');
  });

  it('are restored by the same words as their dry run', async () => {
    const wish = {
      target_time: 'then',
      timeline: 2,
      databases: ['shop'],
      mode: 'side' as const
    };
    ask.mockResolvedValueOnce({ dry_run: true });
    await backups.plan('b', wish);
    expect(ask).toHaveBeenCalledWith(
      'POST',
      'backups/b/restore',
      {},
      { ...wish, dry_run: true }
    );
    begin.mockResolvedValueOnce({ done: false, operation: operation() });
    await backups.restore('b', wish);
    expect(begin).toHaveBeenCalledWith('POST', 'backups/b/restore', wish);
  });

  it('are left beside for the superuser, who logs in there as in the live one', async () => {
    ask.mockResolvedValueOnce({ user: 'dba', password: 'p@ss/word', url: '' });
    const side = { id: 'side-1', host: '127.0.0.1', port: 5433 };
    expect(await backups.sideUrl(side)).toBe(
      'postgresql://dba:p%40ss%2Fword@127.0.0.1:5433/postgres'
    );
    expect(ask).toHaveBeenCalledWith('GET', 'databases/postgres/connection');
  });

  it('offer what is restored alone, which PostgreSQL’s own are not', () => {
    const databases = ['zoo', 'postgres', 'Shop', 'template1'];
    expect(restorable([{ ...FIRST, databases }], NOW, [])).toEqual([
      'Shop',
      'zoo'
    ]);
  });

  it('say what is wrong with a moment', () => {
    const reply = JSON.stringify({
      error: {
        message: 'The request is not valid.',
        details: { target_time: 'is outside the windows: timeline 1 …' }
      }
    });
    expect(() => readReply(400, reply)).toThrow(ApiError);
    try {
      readReply(400, reply);
    } catch (reason) {
      expect(restoreProblem(reason as ApiError)).toContain('timeline 1');
    }
    expect(restoreProblem(new ApiError('No.', 403))).toBe('No.');
  });
});
