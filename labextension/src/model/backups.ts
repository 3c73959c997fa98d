import type { Database } from './databases';

/** A stretch of moments that can be restored, both ends included. */
export interface Window {
  readonly timeline: number;
  readonly from: string;
  readonly to: string;
}

export const BACKUP_TYPES = ['full', 'incremental', 'differential'] as const;

export type BackupType = (typeof BACKUP_TYPES)[number];

/** A backup of the whole cluster, word for word as the server sends it. */
export interface Backup {
  readonly id: string;
  readonly type: BackupType;
  readonly size_bytes: number;
  /** Administrators alone are told. */
  readonly cluster_bytes: number | null;
  readonly created_at: string;
  readonly seconds: number;
  /** The timeline that it was taken on. */
  readonly timeline: number;
  readonly databases: readonly string[];
  /** What its owner has kept with it, as paths in their notebook folder. */
  readonly files: readonly string[];
  readonly files_bytes: number;
  readonly owner: string | null;
  readonly status: string;
  readonly verified_at: string | null;
  readonly depends_on: readonly string[];
  readonly recovery_window: readonly Window[];
}

/** A backup to be. */
export interface NewBackup {
  readonly type: BackupType;
  readonly files: readonly string[];
}

/** In the place of what is there, or beside the cluster, which replaces nothing. */
export type RestoreMode = 'in_place' | 'side';

/** What is to be restored. */
export interface NewRestore {
  readonly target_time?: string;
  readonly timeline?: number;
  /** None of them: the whole cluster. */
  readonly databases: readonly string[];
  readonly mode: RestoreMode;
}

/** A restored cluster that was left beside the live one, which its superuser alone gets into. */
export interface SideCluster {
  readonly id: string;
  readonly host: string;
  readonly port: number;
}

/** What a restore did or, with `dry_run`, would do. */
export interface Restore {
  readonly backup: string;
  readonly mode: RestoreMode;
  readonly databases: readonly string[];
  readonly cluster: boolean;
  readonly files: ReadonlyArray<{
    readonly path: string;
    readonly replaces: boolean;
  }>;
  /** Of which moment the files are, whatever `target_time` is. */
  readonly files_time: string | null;
  /** The snapshot that has the files of before. */
  readonly kept_files: string | null;
  readonly target_time: string;
  readonly timeline: number;
  readonly seconds: number;
  readonly bytes: {
    readonly live: number;
    readonly side: number;
    readonly kept: number;
    /** Of what earlier restores have kept, as far as it is the caller's. */
    readonly kept_earlier?: number | null;
    readonly free: number;
  };
  /** Where what was there before is, by database; the folder of the whole cluster. */
  readonly kept: Readonly<Record<string, string>>;
  /** What was left beside. */
  readonly side: SideCluster | null;
}

/** Databases that are PostgreSQL's own, and not restored alone. */
const SYSTEM: readonly string[] = ['postgres', 'template0', 'template1'];

/** Milliseconds since 1970. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

/** One timeline: what of it can be restored, and the backups that were taken on it. */
export interface Lane {
  readonly timeline: number;
  readonly spans: readonly Span[];
  /** What is archived by a restore itself: up to now, on the newest timeline alone. */
  readonly live: Span | null;
  /** Oldest first. */
  readonly backups: readonly Backup[];
}

/** The first moment to which a backup can surely be restored: its end is known to the second. */
export function earliest(backup: Backup): number {
  return Date.parse(backup.created_at) + (backup.seconds + 1) * 1000;
}

/** Stretches with those that touch made one. */
function merged(spans: readonly Span[]): readonly Span[] {
  const found: Span[] = [];
  for (const span of [...spans].sort((a, b) => a.from - b.from)) {
    const last = found.at(-1);
    if (last && span.from <= last.to) {
      found[found.length - 1] = {
        from: last.from,
        to: Math.max(last.to, span.to)
      };
    } else {
      found.push(span);
    }
  }
  return found;
}

/** The timelines that backups tell of, newest first. */
export function lanesOf(
  backups: Iterable<Backup>,
  now: number
): readonly Lane[] {
  const all = [...backups];
  const windows = all.flatMap(each => each.recovery_window);
  const numbers = new Set([
    ...all.map(({ timeline }) => timeline),
    ...windows.map(({ timeline }) => timeline)
  ]);
  const newest = Math.max(...numbers);
  return [...numbers]
    .sort((a, b) => b - a)
    .map(timeline => {
      const spans = merged(
        windows
          .filter(window => window.timeline === timeline)
          .map(({ from, to }) => ({
            from: Date.parse(from),
            to: Date.parse(to)
          }))
      );
      const own = all
        .filter(backup => backup.timeline === timeline)
        .sort((a, b) => Date.parse(a.created_at) - Date.parse(b.created_at));
      // Without any archived WAL yet, everything since the last backup is.
      const since = spans.at(-1)?.to ?? own.map(earliest).at(-1);
      const live =
        timeline === newest && since !== undefined && since < now
          ? { from: since, to: now }
          : null;
      return { timeline, spans, live, backups: own };
    });
}

/** All the moments that a time line shows. */
export function extentOf(lanes: readonly Lane[], now: number): Span {
  const starts = lanes.flatMap(({ spans, backups }) => [
    ...spans.map(({ from }) => from),
    ...backups.map(({ created_at }) => Date.parse(created_at))
  ]);
  const from = Math.min(now - 60_000, ...starts);
  return { from, to: now };
}

/** Whether a lane can be restored to a moment. */
export function reaches({ spans, live }: Lane, moment: number): boolean {
  return [...spans, ...(live ? [live] : [])].some(
    ({ from, to }) => from <= moment && moment <= to
  );
}

/** The moment of a lane that can be restored and is closest to another one. */
export function nearest({ spans, live }: Lane, moment: number): number | null {
  let best: number | null = null;
  for (const { from, to } of [...spans, ...(live ? [live] : [])]) {
    // Whole seconds, as the field of a moment has them.
    const first = Math.ceil(from / 1000) * 1000;
    const last = Math.floor(to / 1000) * 1000;
    const within = Math.min(Math.max(moment, first), last);
    if (
      first <= last &&
      (best === null || Math.abs(within - moment) < Math.abs(best - moment))
    ) {
      best = within;
    }
  }
  return best;
}

/** The backups from which a moment of a timeline can be restored, newest first. */
export function sourcesOf(
  backups: Iterable<Backup>,
  timeline: number,
  moment: number
): readonly Backup[] {
  return [...backups]
    .sort((a, b) => Date.parse(b.created_at) - Date.parse(a.created_at))
    .filter(
      backup =>
        earliest(backup) <= moment &&
        (backup.timeline === timeline ||
          backup.recovery_window.some(
            window =>
              window.timeline === timeline && Date.parse(window.from) <= moment
          ))
    );
}

/** Of backups that reach a moment, the one from which databases are restored. */
export function sourceFor(
  sources: readonly Backup[],
  databases: readonly string[]
): Backup | undefined {
  // What none has was made since, and comes from the WAL.
  const had = databases.filter(name =>
    sources.some(backup => backup.databases.includes(name))
  );
  const hasAll = (backup: Backup) =>
    had.every(name => backup.databases.includes(name));
  return sources.find(hasAll) ?? sources[0];
}

/** Whether a moment is the end of a backup that has databases: that needs no WAL behind it. */
export function isEnd(
  backup: Backup,
  moment: number,
  databases: readonly string[]
): boolean {
  return (
    moment === earliest(backup) &&
    databases.every(name => backup.databases.includes(name))
  );
}

/** The databases that can be restored one by one from backups that reach a moment. */
export function restorable(
  sources: readonly Backup[],
  moment: number,
  databases: Iterable<Database>
): readonly string[] {
  if (!sources.length) {
    return [];
  }
  const since = [...databases].filter(
    ({ created_at, kept_until }) =>
      !kept_until && created_at && Date.parse(created_at) <= moment
  );
  const names = [
    ...sources.flatMap(backup => backup.databases),
    ...since.map(({ name }) => name)
  ];
  return [...new Set(names)]
    .filter(name => !SYSTEM.includes(name))
    .sort((a, b) => a.localeCompare(b));
}

/** A moment as the field for one wants it: on this clock, to the second. */
export function toField(moment: number): string {
  const offset = new Date(moment).getTimezoneOffset() * 60_000;
  return new Date(moment - offset).toISOString().slice(0, 19);
}

/** What was written into the field for a moment; null where it is none. */
export function fromField(text: string): number | null {
  const moment = new Date(text).getTime();
  return Number.isFinite(moment) ? moment : null;
}

/** The zone of this clock at a moment: `GMT+8, Asia/Shanghai`. */
export function zoneOf(moment: number, language: string): string {
  const format = new Intl.DateTimeFormat(language, {
    timeZoneName: 'shortOffset'
  });
  const offset = format
    .formatToParts(moment)
    .find(({ type }) => type === 'timeZoneName')?.value;
  const name = format.resolvedOptions().timeZone;
  return [offset, name].filter(Boolean).join(', ');
}

const STEPS = [
  1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600,
  43_200, 86_400, 172_800, 604_800, 1_209_600, 2_592_000, 7_776_000, 31_536_000
].map(seconds => seconds * 1000);

/** Round moments of this clock between two, a few of them. */
export function ticksOf({ from, to }: Span, most: number): readonly number[] {
  const step =
    STEPS.find(each => (to - from) / each <= most) ?? STEPS.at(-1) ?? to - from;
  const offset = new Date(to).getTimezoneOffset() * 60_000;
  const ticks: number[] = [];
  for (
    let at = Math.ceil((from - offset) / step) * step + offset;
    at <= to;
    at += step
  ) {
    ticks.push(at);
  }
  return ticks;
}

/** Pixels that stay free between the words of two ticks. */
const GAP = 12;

/**
 * The ticks whose words find room below a time line.
 *
 * @param width - Pixels of the whole.
 * @param words - Pixels of what is written below a tick, in its middle.
 */
export function fittingTicks(
  { from, to }: Span,
  width: number,
  words: number
): readonly number[] {
  if (width < words || words <= 0) {
    return [];
  }
  const margin = ((to - from) * words) / 2 / width;
  // Steps between ticks are this many at most, so that no step is shorter than words and a gap.
  const most = (width - words) / (words + GAP);
  const inner = { from: from + margin, to: to - margin };
  return most >= 1 ? ticksOf(inner, most) : [];
}
