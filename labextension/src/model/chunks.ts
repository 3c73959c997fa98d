import type { LogLine } from './logs';
import type { Match } from './search';

/** Lines that are drawn together. */
export interface Chunk {
  readonly key: number;
  readonly lines: readonly LogLine[];
  readonly matches: readonly Match[];
}

const SIZE = 200;
const NONE: readonly Match[] = [];

/**
 * Cut lines into chunks, keeping the objects of those that are as they were.
 *
 * A line stays in its chunk for good, whatever is dropped in front of it, so that following a
 * fast log draws the last chunk alone.
 */
export function chunksOf(
  lines: readonly LogLine[],
  matches: readonly Match[],
  before: readonly Chunk[]
): readonly Chunk[] {
  const known = new Map(before.map(chunk => [chunk.key, chunk]));
  const found = new Map<number, Match[]>();
  for (const match of matches) {
    const key = Math.floor(match.line / SIZE);
    const others = found.get(key);
    if (others) {
      others.push(match);
    } else {
      found.set(key, [match]);
    }
  }
  const chunks: Chunk[] = [];
  let start = 0;
  while (start < lines.length) {
    const key = Math.floor((lines[start]?.number ?? 0) / SIZE);
    let end = start + 1;
    while (
      end < lines.length &&
      Math.floor((lines[end]?.number ?? 0) / SIZE) === key
    ) {
      end += 1;
    }
    const old = known.get(key);
    const same =
      old?.lines.length === end - start && old.lines[0] === lines[start];
    const mine = found.get(key) ?? NONE;
    const sameFound = old !== undefined && areEqual(old.matches, mine);
    chunks.push(
      old && same && sameFound
        ? old
        : {
            key,
            lines: old && same ? old.lines : lines.slice(start, end),
            matches: old && sameFound ? old.matches : mine
          }
    );
    start = end;
  }
  return chunks;
}

function areEqual(a: readonly Match[], b: readonly Match[]): boolean {
  return (
    a.length === b.length &&
    a.every((match, index) => {
      const other = b[index];
      return (
        match.line === other?.line &&
        match.start === other.start &&
        match.end === other.end
      );
    })
  );
}
