import type { TranslationBundle } from '@jupyterlab/translation';

import { Device, DeviceState, LOCAL_DEVICE } from '../model/devices';
import type { Tone } from './status';

/** How a device's state feels: the colour of its dot. */
export function deviceTone(state: DeviceState): Tone {
  switch (state) {
    case 'ready':
      return 'good';
    case 'draining':
    case 'no-address':
    case 'left':
      return 'busy';
    case 'lost':
    case 'down':
      return 'bad';
  }
}

/** A device's state in the reader's words. */
export function deviceWord(
  trans: TranslationBundle,
  state: DeviceState
): string {
  const words: Record<DeviceState, string> = {
    ready: trans.__('ready'),
    draining: trans.__('draining'),
    lost: trans.__('lost'),
    'no-address': trans.__('no address'),
    down: trans.__('down'),
    left: trans.__('left')
  };
  return words[state];
}

/** What a state means and what to do now; empty where all is well. */
export function deviceCure(trans: TranslationBundle, device: Device): string {
  const { containers, did, node, problem, state } = device;
  const left = trans._n(
    '%1 container is left on it.',
    '%1 containers are left on it.',
    containers
  );
  switch (state) {
    case 'ready':
      return '';
    case 'draining':
      return containers
        ? trans.__('Nothing new is placed there. %1', left)
        : trans.__('Nothing new is placed there, and nothing is left on it.');
    case 'lost':
      return [
        problem ?? trans.__('It does not answer.'),
        did === LOCAL_DEVICE
          ? ''
          : trans.__(
              'What runs there may run on, and keeps its names, ports and GPUs. It comes back by itself; if it never will, remove it.'
            )
      ]
        .join(' ')
        .trim();
    case 'no-address':
      return [
        problem ?? '',
        trans.__('Tell where its engine is: “Change…” in its menu.')
      ]
        .join(' ')
        .trim();
    case 'down':
      return trans.__(
        'The swarm can’t reach it, though its engine answers. Nothing new is placed there. On a manager: `docker node inspect --pretty %1`',
        node ?? device.name
      );
    case 'left':
      return trans.__(
        'It is no node of the swarm any more. %1 Delete what is left, and it goes.',
        left
      );
  }
}
