import * as React from 'react';

import { LOCAL_DEVICE } from '../model/devices';
import { bytes } from '../model/format';
import { Choice } from './Choice';
import { useDesk, useStore } from './desk';

/** Which GPU a new container gets, and whether it waits for one; nothing where there is none. */
export function GpuChoice(props: {
  gpu: string;
  wait: boolean;
  problem?: string | undefined;
  onChange: (part: { gpu?: string; wait?: boolean }) => void;
}): React.ReactElement | null {
  const { gpu, wait, problem, onChange } = props;
  const { trans } = useDesk();
  const gpus = useStore(state => state.gpus).filter(({ present }) => present);
  if (!gpus.length) {
    return null;
  }
  const free = gpus.filter(each => each.free > 0);
  const chosen = gpus.find(({ gid }) => String(gid) === gpu);
  const several = gpus.some(({ device }) => device !== LOCAL_DEVICE);
  const taken = gpu === 'auto' ? !free.length : chosen?.free === 0;
  return (
    <>
      <Choice
        label={trans.__('GPU')}
        value={gpu}
        problem={problem}
        hint={
          taken && !wait
            ? trans.__('It is taken now. Wait for it, or choose another one.')
            : undefined
        }
        options={[
          ['', trans.__('none')],
          [
            'auto',
            trans.__('any that is free (%1 of %2)', free.length, gpus.length)
          ],
          ...gpus.map(
            each =>
              [
                String(each.gid),
                [
                  each.gid,
                  each.model,
                  bytes(each.memory),
                  several ? each.device_name : '',
                  each.free ? '' : trans.__('taken')
                ]
                  .filter(Boolean)
                  .join(' · ')
              ] as const
          )
        ]}
        onChange={value => onChange({ gpu: value })}
      />
      {gpu !== '' && (
        <label className="jx-Check">
          <input
            type="checkbox"
            checked={wait}
            onChange={event => onChange({ wait: event.target.checked })}
          />
          {trans.__('Wait in the queue where it is taken')}
        </label>
      )}
    </>
  );
}
