import type { Sample } from './types';

/** A container's use over time, oldest first; times in milliseconds. */
export interface Series {
  readonly times: readonly number[];
  readonly cpu: readonly number[];
  readonly memory: readonly number[];
  readonly memoryLimit: number | null;
}

export const EMPTY_SERIES: Series = {
  times: [],
  cpu: [],
  memory: [],
  memoryLimit: null
};

const HOUR = 3600_000;

/** Points kept of the newest minutes as they came, and of the hour before thinned. */
const MOST_POINTS = 720;

/** The series with samples added; older ones than its last are ignored. */
export function extend(series: Series, samples: readonly Sample[]): Series {
  let last = series.times.at(-1) ?? -Infinity;
  const times = [...series.times];
  const cpu = [...series.cpu];
  const memory = [...series.memory];
  let memoryLimit = series.memoryLimit;
  for (const sample of samples) {
    const time = Date.parse(sample.timestamp);
    if (Number.isFinite(time) && time > last) {
      times.push(time);
      cpu.push(sample.cpu_usage);
      memory.push(sample.memory_usage);
      memoryLimit = sample.memory_limit ?? memoryLimit;
      last = time;
    }
  }
  const start = times.findIndex(time => time >= last - HOUR);
  const drop = start < 0 ? times.length : start;
  const kept = {
    times: times.slice(drop),
    cpu: cpu.slice(drop),
    memory: memory.slice(drop),
    memoryLimit
  };
  return kept.times.length > MOST_POINTS ? thin(kept) : kept;
}

/** Every second point of the older half, so that an hour fits and the present stays sharp. */
function thin(series: Series): Series {
  const half = series.times.length / 2;
  const keep = (_: number, index: number) => index >= half || index % 2 === 0;
  return {
    times: series.times.filter(keep),
    cpu: series.cpu.filter(keep),
    memory: series.memory.filter(keep),
    memoryLimit: series.memoryLimit
  };
}

/**
 * An SVG path for values over time, within a box.
 *
 * A gap longer than `gap` milliseconds (the container stood still) breaks the line.
 */
export function pathOf(
  times: readonly number[],
  values: readonly number[],
  box: { width: number; height: number; from: number; to: number; top: number },
  gap = 30_000
): string {
  const span = box.to - box.from || 1;
  const top = box.top || 1;
  let path = '';
  let previous = -Infinity;
  times.forEach((time, index) => {
    if (time < box.from) {
      return;
    }
    const x = ((time - box.from) / span) * box.width;
    const part = Math.min(1, (values[index] ?? 0) / top);
    const y = box.height - part * (box.height - 1) - 0.5;
    const step = time - previous > gap ? 'M' : 'L';
    path += `${step}${x.toFixed(1)} ${y.toFixed(1)}`;
    previous = time;
  });
  return path;
}
