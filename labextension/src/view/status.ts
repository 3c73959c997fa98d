import type { TranslationBundle } from '@jupyterlab/translation';

import type { Deed } from '../model/store';
import type { ContainerStatus } from '../model/types';

/** How a state feels: the colour of its dot. */
export type Tone = 'good' | 'busy' | 'bad' | 'idle';

export function toneOf(status: ContainerStatus, deed?: Deed): Tone {
  if (deed) {
    return 'busy';
  }
  switch (status) {
    case 'running':
      return 'good';
    case 'paused':
    case 'restarting':
    case 'removing':
      return 'busy';
    case 'dead':
    case 'lost':
      return 'bad';
    case 'created':
    case 'exited':
      return 'idle';
  }
}

/** A state in the reader's words. */
export function statusWord(
  trans: TranslationBundle,
  status: ContainerStatus,
  deed?: Deed
): string {
  const words: Record<ContainerStatus | Deed, string> = {
    created: trans.__('created'),
    running: trans.__('running'),
    paused: trans.__('paused'),
    restarting: trans.__('restarting'),
    removing: trans.__('removing'),
    exited: trans.__('exited'),
    dead: trans.__('dead'),
    lost: trans.__('lost'),
    starting: trans.__('starting…'),
    stopping: trans.__('stopping…'),
    deleting: trans.__('deleting…')
  };
  const word = words[deed ?? status];
  return deed === 'restarting' ? trans.__('restarting…') : word;
}
