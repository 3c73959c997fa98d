import * as React from 'react';

import type { Device } from '../model/devices';
import type { FormProps } from '../widgets/formdialog';
import { Checkbox } from './Checkbox';
import { useDesk } from './desk';

export interface RemoveWish {
  readonly device: Device;
  /** Also where the server refuses it. */
  readonly force: boolean;
}

/** What is lost with a device, and, where the server refuses, why. */
export function RemoveDevice(props: FormProps<RemoveWish>): React.ReactElement {
  const { values, problems, busy, change } = props;
  const { trans } = useDesk();
  const { device, force } = values;
  const { containers, gpus, name } = device;
  const refusal = problems[''];
  return (
    <div className="jx-Remove jx-RemoveDevice">
      <p>
        {trans.__('Nothing is placed on %1 any more.', name)}{' '}
        {gpus.length > 0 &&
          trans._n(
            'Its GPU can’t be had any more.',
            'Its %1 GPUs can’t be had any more.',
            gpus.length
          )}
      </p>
      {containers > 0 && (
        <p>
          {trans._n(
            '%1 container is on it. It runs on there, but is forgotten here: whoever owns it loses sight of it, its name, ports and GPUs.',
            '%1 containers are on it. They run on there, but are forgotten here: whoever owns them loses sight of them, their names, ports and GPUs.',
            containers
          )}
        </p>
      )}
      <p>{trans.__('Nothing on the host itself is changed.')}</p>
      {refusal && (
        <div className="jx-Failure" role="alert">
          {refusal}
        </div>
      )}
      {(containers > 0 || refusal) && (
        <Checkbox
          label={
            containers
              ? trans._n(
                  'Forget its %1 container',
                  'Forget its %1 containers',
                  containers
                )
              : trans.__('Remove it all the same')
          }
          checked={force}
          disabled={busy}
          onChange={checked => change({ force: checked })}
        />
      )}
    </div>
  );
}
