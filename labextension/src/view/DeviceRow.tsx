import { ellipsesIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { Device, LOCAL_DEVICE } from '../model/devices';
import { bytes, lasting, moment } from '../model/format';
import { useDesk } from './desk';
import { deviceCure, deviceTone, deviceWord } from './devicestatus';
import { IconButton } from './IconButton';
import { Meter } from './Meter';
import { Cure } from './Notice';

/** One device: how it is and since when, where it is, and what of it is taken. */
export const DeviceRow = React.memo(function DeviceRow(props: {
  device: Device;
  now: number;
  current: boolean;
}): React.ReactElement {
  const { device, now, current } = props;
  const { did, name, since, state } = device;
  const { trans, language, openMenu } = useDesk();
  const word = deviceWord(trans, state);
  const tone = deviceTone(state);
  const time = since === null ? '' : lasting(since, language, now);
  const cure = deviceCure(trans, device);
  const where =
    did === LOCAL_DEVICE ? trans.__('this machine') : (device.address ?? '');
  const facts = [where, device.cpu_name].filter(Boolean).join(' · ');
  return (
    <li
      className="jx-Row jx-Device"
      data-device={did}
      data-state={state}
      tabIndex={current ? 0 : -1}
      aria-label={`${name}, ${word}`}
    >
      <div className="jx-Row-head">
        <span className={`jx-Dot jx-mod-${tone}`} aria-hidden />
        <span className="jx-Title jx-mod-strong" title={name}>
          {name}
        </span>
        <span className="jx-Row-actions">
          <IconButton
            icon={ellipsesIcon}
            label={trans.__('More for %1', name)}
            hasMenu
            onClick={openMenu}
          />
        </span>
      </div>
      <div className="jx-Row-line">
        <span className={`jx-Status jx-mod-${tone}`}>{word}</span>
        {since !== null && (
          <time
            className="jx-Row-minor jx-Device-since"
            dateTime={since}
            title={trans.__('Since %1', moment(since, language))}
          >
            {time ? trans.__('for %1', time) : trans.__('just now')}
          </time>
        )}
        <span className="jx-Row-minor">
          {trans._n('%1 container', '%1 containers', device.containers)}
        </span>
      </div>
      {facts && (
        <div className="jx-Row-line" title={facts}>
          <span className="jx-Row-minor">{facts}</span>
        </div>
      )}
      {device.total_cpu > 0 && <Resources device={device} />}
      {cure && (
        <div className="jx-Device-cure" data-tone={tone}>
          <Cure text={cure} />
        </div>
      )}
    </li>
  );
});

/** How much of a device is taken. */
function Resources(props: { device: Device }): React.ReactElement {
  const { trans } = useDesk();
  const { device } = props;
  const { total_cpu, used_cpu, total_memory, used_memory } = device;
  const gpus = device.gpus.length;
  const taken = device.used_gpus.length;
  return (
    <div className="jx-Meters">
      <Meter
        label={trans.__('CPU')}
        value={used_cpu / total_cpu}
        text={trans._n(
          '%2 of %1 core',
          '%2 of %1 cores',
          total_cpu,
          Number(used_cpu.toFixed(2))
        )}
      />
      <Meter
        label={trans.__('Mem')}
        value={total_memory ? used_memory / total_memory : null}
        text={trans.__('%1 of %2', bytes(used_memory), bytes(total_memory))}
      />
      {gpus > 0 && (
        <Meter
          label={trans.__('GPUs')}
          value={taken / gpus}
          text={trans.__('%1 of %2 free', gpus - taken, gpus)}
        />
      )}
    </div>
  );
}
