import { describe, expect, it } from 'vitest';

import { absolute } from '../src/model/folder';
import { age, bytes, moment, percent, port } from '../src/model/format';
import { imageTitle, proposeName, splitName } from '../src/model/reference';
import { ApiError, readReply } from '../src/model/reply';
import { EMPTY_SERIES, extend, pathOf } from '../src/model/series';
import { namesIn, sharing } from '../src/model/sharing';

describe('a reply', () => {
  it('is read out of its envelope', () => {
    const text = '{"code":200,"message":"success","data":{"cid":1}}';
    expect(readReply(200, text)).toEqual({ done: true, data: { cid: 1 } });
  });

  it('is read bare', () => {
    expect(readReply(200, '{"id":"op-1"}')).toEqual({
      done: true,
      data: { id: 'op-1' }
    });
  });

  it('is an operation when the work goes on', () => {
    const text = '{"code":202,"message":"success","data":{"id":"op-1"}}';
    expect(readReply(202, text)).toEqual({
      done: false,
      operation: { id: 'op-1' }
    });
  });

  const failure = (status: number, text: string): ApiError => {
    try {
      readReply(status, text);
    } catch (reason) {
      if (reason instanceof ApiError) {
        return reason;
      }
    }
    throw new Error('It did not fail.');
  };

  it('brings the problems of each field', () => {
    const problems = [{ field: 'name', message: 'is taken' }];
    const body = { code: 409, message: 'It exists.', errors: problems };
    expect(failure(409, JSON.stringify(body))).toMatchObject({
      message: 'It exists.',
      status: 409,
      problems
    });
  });

  it('brings the words of an error in any dialect', () => {
    expect(
      failure(404, '{"error":{"code":"X","message":"Gone."}}').message
    ).toBe('Gone.');
    expect(failure(400, '{"error":"Wrong."}').message).toBe('Wrong.');
    expect(failure(502, '<html>').message).toContain('502');
  });
});

describe('words for people', () => {
  it('say sizes', () => {
    const said = [0, 999, 1000, 1234, 12_345, 187_400_000, 999_960_000].map(
      bytes
    );
    expect(said).toEqual([
      '0 B',
      '999 B',
      '1.0 kB',
      '1.2 kB',
      '12 kB',
      '187 MB',
      '1.0 GB'
    ]);
  });

  it('say parts', () => {
    expect([0, 0.04, 0.42, 9.96, 150.4].map(percent)).toEqual([
      '0%',
      '0%',
      '0.4%',
      '10%',
      '150%'
    ]);
  });

  it('say ages', () => {
    const now = Date.parse('2026-11-20T10:00:00Z');
    const ago = (time: string) => age(time, 'en', now);
    expect(ago('2026-11-20T09:59:58Z')).toBe('now');
    expect(ago('2026-11-20T08:30:00Z')).toBe('1 hour ago');
    expect(ago('2026-11-17T10:00:00Z')).toBe('3 days ago');
    expect(ago('never')).toBe('');
    expect(ago('0001-01-01T00:00:00Z')).toBe('');
  });

  it('say nothing of a moment that was not', () => {
    expect(moment(null, 'en')).toBe('');
    expect(moment('0001-01-01T00:00:00Z', 'en')).toBe('');
  });

  it('leave out what goes without saying', () => {
    expect([port('80/tcp'), port('53/udp')]).toEqual(['80', '53/udp']);
  });
});

describe('an image', () => {
  it('goes by its tag, or by its id', () => {
    const id = 'sha256:0123456789abcdef';
    expect(imageTitle({ id, tags: ['a:1', 'b:2'] })).toBe('a:1');
    expect(imageTitle({ id, tags: [] })).toBe('0123456789ab');
  });

  it('is told apart from its registry', () => {
    const titles = {
      'nginx:latest': ['', 'nginx:latest'],
      'team/tool:1.2': ['', 'team/tool:1.2'],
      'ghcr.io/team/tool:1': ['ghcr.io', 'team/tool:1'],
      '127.0.0.1:5000/tool:1': ['127.0.0.1:5000', 'tool:1'],
      'localhost/tool:1': ['localhost', 'tool:1'],
      'jupyter-ext/ada/tools:3': ['', 'tools:3']
    };
    for (const [name, parts] of Object.entries(titles)) {
      expect(Object.values(splitName(name))).toEqual(parts);
    }
  });

  it('proposes a name that is free', () => {
    const taken = new Set(['nginx', 'nginx-2']);
    expect(proposeName('registry:5000/team/nginx:1.27', taken)).toBe('nginx-3');
    expect(proposeName('redis', taken)).toBe('redis');
    expect(proposeName('a/b@sha256:00', taken)).toBe('b');
    expect(proposeName('', taken)).toBe('');
  });
});

describe('a series', () => {
  const at = (second: number, cpu: number) => ({
    timestamp: new Date(second * 1000).toISOString(),
    cpu_usage: cpu,
    memory_usage: 1
  });

  it('takes each moment once', () => {
    const once = extend(EMPTY_SERIES, [at(1, 1), at(2, 2)]);
    expect(extend(once, [at(2, 9), at(3, 3)]).cpu).toEqual([1, 2, 3]);
  });

  it('keeps an hour, and the present in full', () => {
    let series = EMPTY_SERIES;
    for (let second = 0; second < 7200; second += 2) {
      series = extend(series, [at(second, second)]);
    }
    const { times } = series;
    const last = times.at(-1) ?? 0;
    expect(times.length).toBeLessThanOrEqual(720);
    expect(last - (times[0] ?? 0)).toBeGreaterThan(3000_000);
    expect(last - (times.at(-60) ?? 0)).toBe(118_000);
  });

  it('is drawn from left to right, higher for more', () => {
    const box = { width: 100, height: 11, from: 0, to: 10_000, top: 10 };
    expect(pathOf([0, 10_000], [0, 10], box)).toBe('M0.0 10.5L100.0 0.5');
  });

  it('has a gap where the container stood still', () => {
    const box = { width: 100, height: 11, from: 0, to: 100_000, top: 10 };
    const path = pathOf([0, 1000, 90_000, 91_000], [1, 1, 1, 1], box);
    expect(path.match(/M/g)).toHaveLength(2);
  });
});

describe("a chosen folder's full path", () => {
  it('is below the folder that Jupyter serves', () => {
    expect(absolute('a/b', '/srv/', [])).toBe('/srv/a/b');
    expect(absolute('', '/srv', [])).toBe('/srv');
  });

  it('is found below a home folder by the roots that are known', () => {
    const roots = ['/other', '/home/ada/work'];
    expect(absolute('a', '~/work', roots)).toBe('/home/ada/work/a');
    expect(absolute('a', '~/work', ['/home/ada/work/ada'])).toBe(
      '/home/ada/work/a'
    );
    expect(absolute('a', '~/work', ['/home/ada/works'])).toBeNull();
    expect(absolute('a', '~/work', [])).toBeNull();
  });

  it("is not known for another drive's folder", () => {
    expect(absolute('s3:bucket', '/srv', [])).toBeNull();
  });
});

describe('sharing an image', () => {
  it('reads names with commas or spaces between them', () => {
    expect(namesIn(' ann, bob\n ann;cy ')).toEqual(['ann', 'bob', 'cy']);
    expect(namesIn(' , ')).toEqual([]);
  });

  it('asks only for what is to change', () => {
    expect(sharing(['ann', 'bob'], ['bob', 'cy'])).toEqual({
      add: ['cy'],
      remove: ['ann']
    });
    expect(sharing(['ann'], ['ann'])).toEqual({ add: [], remove: [] });
  });
});
