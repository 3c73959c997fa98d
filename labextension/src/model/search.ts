import type { LogLine } from './logs';

/** Where a search found something: the line's number and the place in its text. */
export interface Match {
  readonly line: number;
  readonly start: number;
  readonly end: number;
}

const MOST_MATCHES = 10_000;

/** Find a text in lines, without regard to case unless it has capitals. */
export function findMatches(
  lines: readonly LogLine[],
  query: string
): readonly Match[] {
  if (!query) {
    return [];
  }
  const exact = query !== query.toLowerCase();
  const wanted = exact ? query : query.toLowerCase();
  const matches: Match[] = [];
  for (const line of lines) {
    const text = exact ? line.text : line.text.toLowerCase();
    let start = text.indexOf(wanted);
    while (start >= 0) {
      matches.push({ line: line.number, start, end: start + wanted.length });
      if (matches.length >= MOST_MATCHES) {
        return matches;
      }
      start = text.indexOf(wanted, start + wanted.length);
    }
  }
  return matches;
}

/** A text cut where matches begin and end, so that each piece is a match or none. */
export function cut(
  text: string,
  offset: number,
  matches: readonly Match[]
): ReadonlyArray<{ text: string; match: Match | null }> {
  const pieces: { text: string; match: Match | null }[] = [];
  const end = offset + text.length;
  let at = offset;
  for (const match of matches) {
    const from = Math.max(match.start, at);
    const to = Math.min(match.end, end);
    if (from >= to) {
      continue;
    }
    if (from > at) {
      pieces.push({
        text: text.slice(at - offset, from - offset),
        match: null
      });
    }
    pieces.push({ text: text.slice(from - offset, to - offset), match });
    at = to;
  }
  if (at < end) {
    pieces.push({ text: text.slice(at - offset), match: null });
  }
  return pieces;
}
