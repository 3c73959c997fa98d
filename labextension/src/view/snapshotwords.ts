import type { TranslationBundle } from '@jupyterlab/translation';

import { moment } from '../model/format';
import { Group, Part, thingOf } from '../model/snapshots';

/** What a group of parts is called. */
export function groupName(
  trans: TranslationBundle,
  group: Group,
  admin: boolean
): string {
  switch (group) {
    case 'databases':
      return admin
        ? trans.__('All databases, those of everybody')
        : trans.__('Databases');
    case 'files':
      return trans.__('Notebook files');
    case 'containers':
      return trans.__('Containers');
  }
}

/** What a part is called. */
export function partName(trans: TranslationBundle, part: Part): string {
  switch (part.kind) {
    case 'cluster':
      return trans.__('all databases');
    case 'database':
      return trans.__('database %1', thingOf(part));
    case 'files':
      return trans.__('files');
    case 'container':
      return trans.__('container %1', thingOf(part));
  }
}

/** How a part is, where that is not as it should be; empty where it is. */
export function partState(trans: TranslationBundle, part: Part): string {
  switch (part.state) {
    case 'left_out':
      return trans.__('left out');
    case 'gone':
      return trans.__('gone');
    case 'kept':
      return part.reason ? trans.__('not complete') : '';
  }
}

/**
 * What a restore of a part does to what is there.
 *
 * @param there - Whether there is such a thing now; null where nobody knows.
 */
export function replacedWords(
  trans: TranslationBundle,
  part: Part,
  there: boolean | null,
  language: string
): string {
  const back = moment(part.moment, language);
  switch (part.kind) {
    case 'cluster':
      return trans.__(
        'Replaces the databases of everybody by those of %1. All sessions end.',
        back
      );
    case 'database':
      return there === false
        ? trans.__('Comes back as of %1: there is none of this name now.', back)
        : trans.__(
            'Replaces it by that of %1. Its sessions end; it stays as %2.',
            back,
            `${thingOf(part)}.before-…`
          );
    case 'files':
      return trans.__(
        'Replaces everything in %1, but for hidden files at its top. What was made since goes.',
        part.place ?? ''
      );
    case 'container':
      return there === false
        ? trans.__('Is made again: there is none of this name now.')
        : trans.__(
            'Puts one with the files of then in the place of this container, which stays until that runs.'
          );
  }
}
