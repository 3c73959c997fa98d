import * as React from 'react';

import { Backup, Lane, Span } from '../model/backups';
import { moment as inWords } from '../model/format';
import { useDesk } from './desk';

/** One timeline as a track: bands, gaps, marks, and the moment that is chosen. */
export function LaneTrack(props: {
  lane: Lane;
  span: Span;
  label: string;
  picked: number | null;
  disabled: boolean;
  wordsOf: (backup: Backup) => string;
  onPoint: (at: number | Backup | null) => void;
  onPick: (at: number) => void;
  onBackup: (backup: Backup) => void;
}): React.ReactElement {
  const { lane, span, label, picked, disabled, wordsOf } = props;
  const { onPoint, onPick, onBackup } = props;
  const { trans, language } = useDesk();
  const track = React.useRef<HTMLDivElement>(null);
  const bands = [...lane.spans, ...(lane.live ? [lane.live] : [])];
  const gaps = lane.spans.slice(1).map(({ from }, index) => ({
    from: lane.spans[index]?.to ?? from,
    to: from
  }));
  const [reached, setReached] = React.useState<string | null>(null);
  const current = lane.backups.some(({ id }) => id === reached)
    ? reached
    : (lane.backups.at(-1)?.id ?? null);

  const at = (event: React.MouseEvent): number => {
    const { left, width } = track.current?.getBoundingClientRect() ?? {
      left: 0,
      width: 1
    };
    const part = Math.min(1, Math.max(0, (event.clientX - left) / width));
    return Math.round(span.from + part * (span.to - span.from));
  };
  const isMark = (event: React.MouseEvent) =>
    (event.target as HTMLElement).closest('.jx-Mark') !== null;

  const walk = (event: React.KeyboardEvent<HTMLElement>) => {
    const marks = [
      ...(track.current?.querySelectorAll<HTMLElement>('.jx-Mark') ?? [])
    ];
    const here = marks.indexOf(event.currentTarget);
    const to = { ArrowLeft: here - 1, ArrowRight: here + 1, Home: 0, End: -1 }[
      event.key
    ];
    if (to !== undefined) {
      event.preventDefault();
      marks.at(Math.min(to, marks.length - 1))?.focus();
    }
  };
  const slide = (event: React.KeyboardEvent) => {
    if (picked === null) {
      return;
    }
    // A hundredth of the whole, at least a second.
    const step =
      Math.max(1, Math.round((span.to - span.from) / 100_000)) * 1000;
    const to = {
      ArrowLeft: picked - step,
      ArrowDown: picked - step,
      ArrowRight: picked + step,
      ArrowUp: picked + step,
      PageDown: picked - 10 * step,
      PageUp: picked + 10 * step,
      Home: span.from,
      End: span.to
    }[event.key];
    if (to !== undefined) {
      event.preventDefault();
      onPick(to);
    }
  };

  return (
    <div
      className="jx-Lane-track"
      role="group"
      aria-label={label}
      ref={track}
      data-disabled={disabled}
      onMouseMove={event => {
        if (!isMark(event)) {
          onPoint(at(event));
        }
      }}
      onMouseLeave={() => onPoint(null)}
      onClick={event => {
        if (!isMark(event) && !disabled) {
          onPick(at(event));
        }
      }}
    >
      {bands.map(band => (
        <div
          key={band.from}
          className={`jx-Lane-band${band === lane.live ? ' jx-mod-live' : ''}`}
          style={{
            left: placeOf(span, band.from),
            right: `calc(100% - ${placeOf(span, band.to)})`
          }}
        />
      ))}
      {gaps.map(gap => (
        <div
          key={gap.from}
          className="jx-Lane-gap"
          role="img"
          aria-label={trans.__(
            'Nothing between %1 and %2 can be restored',
            inWords(new Date(gap.from).toISOString(), language),
            inWords(new Date(gap.to).toISOString(), language)
          )}
          style={{
            left: placeOf(span, gap.from),
            right: `calc(100% - ${placeOf(span, gap.to)})`
          }}
        />
      ))}
      {lane.backups.map(backup => (
        <button
          key={backup.id}
          type="button"
          className="jx-Mark"
          data-type={backup.type}
          data-tested={backup.verified_at !== null}
          tabIndex={backup.id === current ? 0 : -1}
          disabled={disabled}
          aria-label={wordsOf(backup)}
          title={wordsOf(backup)}
          style={{ left: placeOf(span, Date.parse(backup.created_at)) }}
          onFocus={() => {
            setReached(backup.id);
            onPoint(backup);
          }}
          onBlur={() => onPoint(null)}
          onMouseEnter={() => onPoint(backup)}
          onKeyDown={walk}
          onClick={() => onBackup(backup)}
        />
      ))}
      {picked !== null && (
        <div
          className="jx-Lane-picked"
          role="slider"
          tabIndex={disabled ? -1 : 0}
          aria-label={trans.__('The moment to go back to')}
          aria-valuemin={span.from}
          aria-valuemax={span.to}
          aria-valuenow={picked}
          aria-valuetext={inWords(new Date(picked).toISOString(), language)}
          style={{ left: placeOf(span, picked) }}
          onKeyDown={slide}
        />
      )}
    </div>
  );
}

/** Where on the track a moment stands. */
export function placeOf({ from, to }: Span, at: number): string {
  return `${(Math.min(1, Math.max(0, (at - from) / (to - from))) * 100).toFixed(3)}%`;
}
