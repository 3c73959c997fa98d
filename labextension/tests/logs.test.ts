import { describe, expect, it } from 'vitest';

import { stretches } from '../src/model/ansi';
import { chunksOf } from '../src/model/chunks';
import { LogBuffer } from '../src/model/logs';
import { cut, findMatches } from '../src/model/search';

const out = (text: string) => ({ text, stream: 'stdout' as const });
const err = (text: string) => ({ text, stream: 'stderr' as const });
const at = (second: number) => `2026-11-20T10:00:0${second}.000000001Z`;

function texts(buffer: LogBuffer): string[] {
  return buffer.lines.map(({ text }) => text);
}

describe('a log', () => {
  it('puts lines together from pieces of two streams', () => {
    const buffer = new LogBuffer();
    buffer.append([out('one\ntw'), err('oh'), out('o\n'), err(' no\n')]);
    expect(buffer.lines.map(({ text, stream }) => [text, stream])).toEqual([
      ['one', 'stdout'],
      ['two', 'stdout'],
      ['oh no', 'stderr']
    ]);
  });

  it('takes the time off the lines', () => {
    const buffer = new LogBuffer();
    buffer.append([out(`${at(1)} hello\n${at(2)} \n`)]);
    expect(texts(buffer)).toEqual(['hello', '']);
    expect(buffer.lines[0]?.time).toBe(at(1));
    expect(buffer.lastTime).toBe(at(2));
  });

  it('writes over a line at a carriage return', () => {
    const buffer = new LogBuffer();
    buffer.append([out('10%\r50%\r100%\ndos\r\n')]);
    expect(texts(buffer)).toEqual(['100%', 'dos']);
  });

  it('skips what was seen before when it is sent again', () => {
    const buffer = new LogBuffer();
    buffer.append([out(`${at(1)} a\n${at(2)} b\n${at(3)} unfin`)]);
    buffer.rewind();
    buffer.append([out(`${at(1)} a\n${at(2)} b\n${at(3)} unfinished\n`)]);
    expect(texts(buffer)).toEqual(['a', 'b', 'unfinished']);
  });

  it('tells times apart to the nanosecond, however many digits they have', () => {
    const buffer = new LogBuffer();
    buffer.append([out('2026-11-20T10:00:00.5Z a\n')]);
    buffer.rewind();
    buffer.append([
      out('2026-11-20T10:00:00.500000000Z a\n'),
      out('2026-11-20T10:00:00.500000001Z b\n')
    ]);
    expect(texts(buffer)).toEqual(['a', 'b']);
  });

  it('forgets the oldest lines when there are too many', () => {
    const buffer = new LogBuffer(100);
    for (let number = 0; number < 250; number += 1) {
      buffer.append([out(`${number}\n`)]);
    }
    expect(buffer.lines.length).toBeLessThanOrEqual(100);
    expect(buffer.lines.length + buffer.dropped).toBe(250);
    expect(texts(buffer).at(-1)).toBe('249');
  });

  it('shows an unfinished line at the end', () => {
    const buffer = new LogBuffer();
    buffer.append([out('no newline')]);
    expect(texts(buffer)).toEqual([]);
    buffer.end();
    buffer.note('Stopped.');
    expect(texts(buffer)).toEqual(['no newline', 'Stopped.']);
  });
});

describe('colours', () => {
  it("become JupyterLab's own", () => {
    expect(stretches('\u001b[31;1mbad\u001b[0m news')).toEqual([
      { text: 'bad', className: 'ansi-red-fg ansi-bold' },
      { text: ' news', className: '' }
    ]);
    expect(stretches('\u001b[92mok')[0]?.className).toBe(
      'ansi-green-intense-fg'
    );
  });

  it('leave no control sequence behind', () => {
    const line = '\u001b[2K\u001b]0;title\u0007\u001b[32mdone\u001b[m';
    const text = stretches(line).map(stretch => stretch.text);
    expect(text.join('')).toBe('done');
  });

  it('do not break what looks like markup', () => {
    expect(stretches('\u001b[1m<b>&amp;</b>')[0]?.text).toBe('<b>&amp;</b>');
  });
});

describe('a search', () => {
  const buffer = new LogBuffer();
  buffer.append([out('GET /a\nget /b get\n\u001b[31mGET\u001b[0m /c\n')]);
  const { lines } = buffer;

  it('finds every place, in colours too', () => {
    expect(findMatches(lines, 'get').map(({ line }) => line)).toEqual([
      1, 2, 2, 3
    ]);
  });

  it('minds capitals where it has some', () => {
    expect(findMatches(lines, 'GET').map(({ line }) => line)).toEqual([1, 3]);
  });

  it('finds nothing when nothing is asked', () => {
    expect(findMatches(lines, '')).toEqual([]);
  });

  it('cuts a coloured stretch where matches begin and end', () => {
    const matches = [
      { line: 1, start: 2, end: 6 },
      { line: 1, start: 8, end: 9 }
    ];
    const pieces = cut('efghij', 4, matches);
    expect(pieces.map(({ text, match }) => [text, match !== null])).toEqual([
      ['ef', true],
      ['gh', false],
      ['i', true],
      ['j', false]
    ]);
  });
});

describe('chunks', () => {
  it('stay the same objects when other lines come', () => {
    const buffer = new LogBuffer();
    buffer.append([out('x\n'.repeat(450))]);
    const before = chunksOf(buffer.lines, [], []);
    buffer.append([out('new\n')]);
    const after = chunksOf(
      buffer.lines,
      findMatches(buffer.lines, 'new'),
      before
    );
    expect(after).toHaveLength(3);
    expect(after[0]).toBe(before[0]);
    expect(after[1]).toBe(before[1]);
    expect(after[2]).not.toBe(before[2]);
    expect(after[2]?.matches).toHaveLength(1);
  });

  it('hold every line once', () => {
    const buffer = new LogBuffer(300);
    buffer.append([out('x\n'.repeat(700))]);
    const chunks = chunksOf(buffer.lines, [], []);
    const held = chunks.flatMap(chunk => chunk.lines);
    expect(held).toEqual(buffer.lines);
  });
});
