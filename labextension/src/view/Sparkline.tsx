import * as React from 'react';

import { pathOf, Series } from '../model/series';

export interface SparklineProps {
  readonly series: Series;
  readonly of: 'cpu' | 'memory';
  readonly label: string;
  readonly minutes: number;
  readonly height: number;
  /** The least value that the top stands for, so that idle noise looks idle. */
  readonly top: number;
}

/** Width in the drawing's own units; the drawing is stretched to its place. */
const WIDTH = 100;

/** A small chart without axes. */
export const Sparkline = React.memo(function Sparkline(
  props: SparklineProps
): React.ReactElement {
  const { series, label, minutes, height } = props;
  const values = series[props.of];
  const to = series.times.at(-1) ?? 0;
  const from = to - minutes * 60_000;
  const shown = values.filter((_, index) => (series.times[index] ?? 0) >= from);
  const top = Math.max(props.top, ...shown);
  const box = { width: WIDTH, height, from, to, top };
  const line = pathOf(series.times, values, box);
  return (
    <svg
      className={`jx-Sparkline jx-mod-${props.of}`}
      viewBox={`0 0 ${WIDTH} ${height}`}
      preserveAspectRatio="none"
      role="img"
      aria-label={label}
    >
      <title>{label}</title>
      <path
        className="jx-Sparkline-base"
        d={`M0 ${height - 0.5}L${WIDTH} ${height - 0.5}`}
        vectorEffect="non-scaling-stroke"
      />
      <path
        className="jx-Sparkline-line"
        d={line}
        vectorEffect="non-scaling-stroke"
      />
    </svg>
  );
});
