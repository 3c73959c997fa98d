import type { TranslationBundle } from '@jupyterlab/translation';

import type { Backup, BackupType } from '../model/backups';
import { age, bytes, moment } from '../model/format';

/** What a type of backup is called. */
export function typeName(trans: TranslationBundle, type: BackupType): string {
  switch (type) {
    case 'full':
      return trans.__('Full');
    case 'differential':
      return trans.__('Differential');
    case 'incremental':
      return trans.__('Incremental');
  }
}

/** When a backup was last restored as a test. */
export function testedWords(
  trans: TranslationBundle,
  backup: Backup,
  language: string,
  now: number
): string {
  return backup.verified_at
    ? trans.__('tested %1', age(backup.verified_at, language, now))
    : trans.__('not tested yet');
}

/** All that matters of a backup, in one line. */
export function backupWords(
  trans: TranslationBundle,
  backup: Backup,
  language: string,
  now: number
): string {
  return [
    moment(backup.created_at, language),
    typeName(trans, backup.type),
    bytes(backup.size_bytes),
    testedWords(trans, backup, language, now)
  ].join(' · ');
}
