import * as React from 'react';

import { bytes, percent } from '../model/format';
import { EMPTY_SERIES } from '../model/series';
import { useDesk, useStore } from './desk';
import { Sparkline } from './Sparkline';

/** A container's last hour, CPU beside memory. */
export function UseCharts(props: { cid: number }): React.ReactElement {
  const { trans } = useDesk();
  const series = useStore(state => state.series.get(props.cid) ?? EMPTY_SERIES);
  const cpu = series.cpu.at(-1);
  const memory = series.memory.at(-1);
  const limit = series.memoryLimit;
  return (
    <div className="jx-Charts">
      <figure>
        <figcaption>
          <span>{trans.__('CPU')}</span>
          <strong>{cpu === undefined ? '–' : percent(cpu)}</strong>
          <span className="jx-Charts-window">{trans.__('last hour')}</span>
        </figcaption>
        <Sparkline
          series={series}
          of="cpu"
          minutes={60}
          height={48}
          top={10}
          label={trans.__('CPU, last hour')}
        />
      </figure>
      <figure>
        <figcaption>
          <span>{trans.__('Memory')}</span>
          <strong>{memory === undefined ? '–' : bytes(memory)}</strong>
          {limit !== null && limit > 0 && (
            <span className="jx-Row-minor">
              {trans.__('of %1', bytes(limit))}
            </span>
          )}
          <span className="jx-Charts-window">{trans.__('last hour')}</span>
        </figcaption>
        <Sparkline
          series={series}
          of="memory"
          minutes={60}
          height={48}
          top={16e6}
          label={trans.__('Memory, last hour')}
        />
      </figure>
    </div>
  );
}
