import * as React from 'react';

import { age, bytes, percent } from '../model/format';
import type { Gpu, GpuHolder } from '../model/types';
import { useDesk } from './desk';
import { Meter } from './Meter';

/** One GPU: who has it, and how busy it and its memory are. */
export const GpuRow = React.memo(function GpuRow(props: {
  gpu: Gpu;
  /** Which device it is in, where there are several. */
  named: boolean;
  current: boolean;
}): React.ReactElement {
  const { gpu, named, current } = props;
  const { trans, language } = useDesk();
  const state = !gpu.present
    ? trans.__('gone')
    : gpu.mode === 'shared' && !gpu.foreign
      ? trans.__('%1 of %2 free', gpu.free, gpu.slots)
      : gpu.free
        ? trans.__('free')
        : trans.__('taken');
  const who = (holder: GpuHolder) =>
    [
      holder.container === null
        ? trans.__('somebody')
        : holder.mine
          ? holder.container
          : `${holder.username ?? ''}.${holder.container}`,
      age(holder.since, language, Date.now())
    ].join(' · ');
  const facts = [
    gpu.temperature === null ? '' : `${gpu.temperature} °C`,
    gpu.power === null ? '' : `${gpu.power.toFixed(0)} W`
  ];
  const outside = gpu.foreign ? trans.__('outside') : '';
  const beside = [
    named ? gpu.device_name : '',
    outside,
    ...gpu.holders.map(who),
    ...facts
  ]
    .filter(Boolean)
    .join(' · ');
  const explained = gpu.foreign
    ? trans.__(
        'A task of the swarm has it, which was not started here. It is free when that ends.'
      )
    : '';
  return (
    <li
      className="jx-Row jx-Gpu"
      data-gid={gpu.gid}
      data-state={!gpu.present ? 'gone' : gpu.free ? 'free' : 'taken'}
      tabIndex={current ? 0 : -1}
      aria-label={[gpu.gid, gpu.model, state, outside]
        .filter(Boolean)
        .join(', ')}
    >
      <div className="jx-Row-head">
        <span className="jx-Gpu-number">{gpu.gid}</span>
        <span className="jx-Title" title={`${gpu.model}\n${gpu.uuid}`}>
          {gpu.model}
        </span>
        <span className="jx-Chip">{state}</span>
      </div>
      {gpu.present && (
        <div className="jx-Meters">
          <Meter
            label={trans.__('GPU')}
            value={gpu.utilization === null ? null : gpu.utilization / 100}
            text={gpu.utilization === null ? '–' : percent(gpu.utilization)}
          />
          <Meter
            label={trans.__('Mem')}
            value={
              gpu.memory_used === null ? null : gpu.memory_used / gpu.memory
            }
            text={trans.__(
              '%1 of %2',
              gpu.memory_used === null ? '–' : bytes(gpu.memory_used),
              bytes(gpu.memory)
            )}
          />
        </div>
      )}
      <div
        className="jx-Row-line"
        title={[beside, explained].filter(Boolean).join('\n')}
      >
        <span className="jx-Row-minor">{beside}</span>
      </div>
    </li>
  );
});
