import * as React from 'react';

import { bytes, percent } from '../model/format';
import { EMPTY_SERIES } from '../model/series';
import { useDesk, useStore } from './desk';
import { useInView } from './inview';
import { Sparkline } from './Sparkline';

/** What a container uses now and did lately, in one line. */
export function Use(props: { cid: number }): React.ReactElement {
  const { trans } = useDesk();
  const line = React.useRef<HTMLDivElement>(null);
  const seen = useInView(line);
  const series = useStore(state =>
    seen ? (state.series.get(props.cid) ?? EMPTY_SERIES) : EMPTY_SERIES
  );
  const cpu = series.cpu.at(-1);
  const memory = series.memory.at(-1);
  const cpuText = cpu === undefined ? '–' : percent(cpu);
  const memoryText = memory === undefined ? '–' : bytes(memory);
  return (
    <div className="jx-Use" ref={line}>
      <span className="jx-Use-label">{trans.__('CPU')}</span>
      <Sparkline
        series={series}
        of="cpu"
        minutes={10}
        height={16}
        top={10}
        label={trans.__('CPU, last 10 minutes, now %1', cpuText)}
      />
      <span className="jx-Use-value">{cpuText}</span>
      <span className="jx-Use-label">{trans.__('Mem')}</span>
      <Sparkline
        series={series}
        of="memory"
        minutes={10}
        height={16}
        top={16e6}
        label={trans.__('Memory, last 10 minutes, now %1', memoryText)}
      />
      <span className="jx-Use-value">{memoryText}</span>
    </div>
  );
}
