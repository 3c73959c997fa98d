import * as React from 'react';

import {
  Backup,
  extentOf,
  fittingTicks,
  Lane,
  nearest,
  reaches,
  Span
} from '../model/backups';
import { moment as inWords } from '../model/format';
import { backupWords } from './backupwords';
import { useDesk } from './desk';
import { LaneTrack, placeOf } from './LaneTrack';

const DAY = 86_400_000;

/** A moment on one of the timelines. */
export interface Picked {
  readonly timeline: number;
  readonly moment: number;
}

/**
 * The moments that can be restored: a row for each timeline, a band for each stretch of it, a mark
 * for each backup, and what is pointed at in words below.
 */
export function TimeLine(props: {
  lanes: readonly Lane[];
  now: number;
  /** The moment that is chosen, where one is. */
  picked?: Picked | null;
  disabled?: boolean;
  onPick: (picked: Picked) => void;
  onBackup: (backup: Backup) => void;
}): React.ReactElement {
  const { lanes, now, picked, disabled, onPick, onBackup } = props;
  const { trans, language } = useDesk();
  const [pointed, setPointed] = React.useState<string | null>(null);
  const span = extentOf(lanes, now);
  const several = lanes.length > 1;
  const tell = (lane: Lane, at: number | Backup | null) => {
    if (at === null) {
      setPointed(null);
    } else if (typeof at !== 'number') {
      setPointed(backupWords(trans, at, language, now));
    } else {
      const words = inWords(new Date(at).toISOString(), language);
      setPointed(
        reaches(lane, at)
          ? words
          : trans.__('%1: can’t be restored on this timeline', words)
      );
    }
  };
  return (
    <div className="jx-TimeLine">
      {lanes.map(lane => (
        <div className="jx-Lane" key={lane.timeline}>
          {several && (
            <div className="jx-Lane-name">
              {lane === lanes[0]
                ? trans.__('Timeline %1, now', lane.timeline)
                : trans.__('Timeline %1, before a restore', lane.timeline)}
            </div>
          )}
          <LaneTrack
            lane={lane}
            span={span}
            label={
              several
                ? trans.__('Backups of timeline %1', lane.timeline)
                : trans.__('Backups on a time line')
            }
            picked={picked?.timeline === lane.timeline ? picked.moment : null}
            disabled={disabled ?? false}
            wordsOf={backup => backupWords(trans, backup, language, now)}
            onPoint={at => tell(lane, at)}
            onPick={at => {
              const moment = nearest(lane, at);
              if (moment !== null) {
                onPick({ timeline: lane.timeline, moment });
              }
            }}
            onBackup={onBackup}
          />
        </div>
      ))}
      <Axis span={span} />
      <div className="jx-TimeLine-told" aria-live="polite">
        {pointed ??
          (picked
            ? inWords(new Date(picked.moment).toISOString(), language)
            : trans.__('Point at a moment or at a backup.'))}
      </div>
    </div>
  );
}

/** Round moments in words, as many as have room. */
function Axis({ span }: { span: Span }): React.ReactElement {
  const { language } = useDesk();
  const axis = React.useRef<HTMLDivElement>(null);
  const sample = React.useRef<HTMLSpanElement>(null);
  const [room, setRoom] = React.useState({ width: 0, words: 0 });
  React.useLayoutEffect(() => {
    const measure = () => {
      const width = axis.current?.clientWidth ?? 0;
      const words = sample.current?.offsetWidth ?? 0;
      setRoom(was =>
        was.width === width && was.words === words ? was : { width, words }
      );
    };
    const observer = new ResizeObserver(measure);
    for (const { current } of [axis, sample]) {
      if (current) {
        observer.observe(current);
      }
    }
    measure();
    return () => observer.disconnect();
  }, []);
  return (
    <div className="jx-TimeLine-axis" aria-hidden ref={axis}>
      <span className="jx-TimeLine-sample" ref={sample}>
        {tickWords(span.to, span, language)}
      </span>
      {fittingTicks(span, room.width, room.words).map(tick => (
        <span key={tick} style={{ left: placeOf(span, tick) }}>
          {tickWords(tick, span, language)}
        </span>
      ))}
    </div>
  );
}

function tickWords(tick: number, { from, to }: Span, language: string): string {
  const date = new Date(tick);
  const midnight = !date.getHours() && !date.getMinutes();
  if (midnight || to - from > 2 * DAY) {
    return date.toLocaleDateString(language, {
      month: 'short',
      day: 'numeric'
    });
  }
  const seconds = to - from < 600_000;
  return date.toLocaleTimeString(language, {
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
    ...(seconds && { second: '2-digit' })
  });
}
