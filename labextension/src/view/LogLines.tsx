import * as React from 'react';

import { stretches } from '../model/ansi';
import type { LogLine } from '../model/logs';
import { cut, Match } from '../model/search';

export interface LogLinesProps {
  readonly lines: readonly LogLine[];
  readonly matches: readonly Match[];
  readonly current: Match | null;
  readonly timestamps: boolean;
}

/** Some lines in a row, drawn again only when they or what was found in them change. */
export const LogLines = React.memo(function LogLines(
  props: LogLinesProps
): React.ReactElement {
  const { lines, matches, current, timestamps } = props;
  const byLine = new Map<number, Match[]>();
  for (const match of matches) {
    byLine.set(match.line, [...(byLine.get(match.line) ?? []), match]);
  }
  return (
    <div className="jx-Logs-chunk">
      {lines.map(line => (
        <Line
          key={line.number}
          line={line}
          matches={byLine.get(line.number)}
          current={current?.line === line.number ? current : null}
          timestamps={timestamps}
        />
      ))}
    </div>
  );
});

function Line(props: {
  line: LogLine;
  matches: readonly Match[] | undefined;
  current: Match | null;
  timestamps: boolean;
}): React.ReactElement {
  const { line, matches, current, timestamps } = props;
  let offset = 0;
  return (
    <div className={`jx-Logs-line jx-mod-${line.stream}`}>
      {timestamps && line.time && (
        <span className="jx-Logs-time" title={line.time}>
          {clock(line.time)}
        </span>
      )}
      {stretches(line.raw).map((stretch, index) => {
        const at = offset;
        offset += stretch.text.length;
        const content = matches
          ? cut(stretch.text, at, matches).map((piece, part) =>
              piece.match ? (
                <mark
                  key={part}
                  data-at={keyOf(piece.match)}
                  data-current={piece.match.start === current?.start}
                >
                  {piece.text}
                </mark>
              ) : (
                piece.text
              )
            )
          : stretch.text;
        return stretch.className ? (
          <span key={index} className={stretch.className}>
            {content}
          </span>
        ) : (
          <React.Fragment key={index}>{content}</React.Fragment>
        );
      })}
      {'\n'}
    </div>
  );
}

/** What a match's mark is found by in the page. */
export function keyOf(match: Match): string {
  return `${match.line}:${match.start}`;
}

/** The time of day in the reader's zone, to the millisecond. */
function clock(time: string): string {
  const date = new Date(time);
  const two = (part: number) => String(part).padStart(2, '0');
  const parts = [date.getHours(), date.getMinutes(), date.getSeconds()];
  const thousandths = String(date.getMilliseconds()).padStart(3, '0');
  return `${parts.map(two).join(':')}.${thousandths}`;
}
