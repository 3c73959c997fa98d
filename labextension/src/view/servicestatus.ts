import type { TranslationBundle } from '@jupyterlab/translation';

import type { Tone } from './status';

/** The colour of a service's dot. */
export function serviceTone(status: string): Tone {
  switch (status) {
    case 'running':
      return 'good';
    case 'starting':
    case 'restarting':
    case 'stopping':
      return 'busy';
    case 'failed':
      return 'bad';
    default:
      return 'idle';
  }
}

/** A service's state in the reader's words. */
export function serviceWord(trans: TranslationBundle, status: string): string {
  const words: Readonly<Record<string, string>> = {
    running: trans.__('running'),
    starting: trans.__('starting…'),
    restarting: trans.__('restarting…'),
    stopping: trans.__('stopping…'),
    stopped: trans.__('stopped'),
    failed: trans.__('failed'),
    not_installed: trans.__('not installed'),
    unavailable: trans.__('not available')
  };
  return words[status] ?? status;
}
