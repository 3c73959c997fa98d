const UNITS = ['B', 'kB', 'MB', 'GB', 'TB'] as const;

/** Bytes as people say them, in powers of 1000 as docker does: `1.2 GB`. */
export function bytes(count: number): string {
  let value = Math.max(0, count);
  let unit = 0;
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const digits = unit > 0 && value < 9.95 ? 1 : 0;
  return `${value.toFixed(digits)} ${UNITS[unit] ?? ''}`;
}

/** Percent with as many digits as help: `0.4%`, `12%`. */
export function percent(value: number): string {
  return `${value >= 0.05 && value < 9.95 ? value.toFixed(1) : value.toFixed(0)}%`;
}

const AGES: ReadonlyArray<[Intl.RelativeTimeFormatUnit, number]> = [
  ['year', 365 * 86400],
  ['month', 30 * 86400],
  ['day', 86400],
  ['hour', 3600],
  ['minute', 60]
];

/** How long ago a moment was, in the reader's language: `3 days ago`. */
export function age(moment: string, language: string, now: number): string {
  const time = Date.parse(moment);
  // The engine writes year 1 for "never".
  if (!Number.isFinite(time) || time <= 0) {
    return '';
  }
  const words = new Intl.RelativeTimeFormat(language, { numeric: 'auto' });
  const seconds = Math.max(0, (now - time) / 1000);
  for (const [unit, length] of AGES) {
    if (seconds >= length) {
      return words.format(-Math.floor(seconds / length), unit);
    }
  }
  return words.format(0, 'second');
}

/** For how long something has lasted: `3 minutes`; empty for less than one. */
export function lasting(since: string, language: string, now: number): string {
  const seconds = (now - Date.parse(since)) / 1000;
  const [unit, length] = AGES.find(([, each]) => seconds >= each) ?? [];
  return unit && length
    ? new Intl.NumberFormat(language, {
        style: 'unit',
        unit,
        unitDisplay: 'long'
      }).format(Math.floor(seconds / length))
    : '';
}

/** How far off a moment is: `in 3 days`; empty where it has passed. */
export function until(moment: string, language: string, now: number): string {
  const seconds = (Date.parse(moment) - now) / 1000;
  if (!(seconds > 0)) {
    return '';
  }
  const words = new Intl.RelativeTimeFormat(language, { numeric: 'auto' });
  for (const [unit, length] of AGES) {
    const count = Math.round(seconds / length);
    // One of a unit tells little: 30 days rather than next month.
    if (count >= 2) {
      return words.format(count, unit);
    }
  }
  return words.format(1, 'minute');
}

/** A moment in the reader's own time and language; empty where the engine knows none. */
export function moment(time: string | null, language: string): string {
  const parsed = time === null ? NaN : Date.parse(time);
  if (!Number.isFinite(parsed) || parsed <= 0) {
    return '';
  }
  return new Date(parsed).toLocaleString(language, {
    dateStyle: 'medium',
    timeStyle: 'medium'
  });
}

/** The time of day of a moment of today, in the reader's own: `14:05`; with the day on others. */
export function clockTime(time: string, language: string, now: number): string {
  const parsed = new Date(time);
  const today = parsed.toDateString() === new Date(now).toDateString();
  return parsed.toLocaleString(language, {
    ...(today ? {} : { dateStyle: 'short' }),
    timeStyle: 'short'
  });
}

/** `80/tcp` as people write it: TCP goes without saying. */
export function port(container: string): string {
  return container.endsWith('/tcp') ? container.slice(0, -4) : container;
}

/** The page that a published port shows on the machine that runs the engine. */
export function portAddress(host: number): string {
  return `http://127.0.0.1:${host}`;
}
