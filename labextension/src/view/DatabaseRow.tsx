import {
  copyIcon,
  ellipsesIcon,
  notebookIcon
} from '@jupyterlab/ui-components';
import * as React from 'react';

import type { Database, Reader } from '../model/databases';
import { bytes, moment } from '../model/format';
import { CommandIDs } from '../tokens';
import { useCommand, useDesk } from './desk';
import { IconButton } from './IconButton';

/** One database: how large it is, whose, and how to get into it. */
export const DatabaseRow = React.memo(function DatabaseRow(props: {
  database: Database;
  reader: Reader;
  current: boolean;
}): React.ReactElement {
  const { database, reader, current } = props;
  const { name, owner, system } = database;
  const size = database.size_bytes;
  const { trans, language, openMenu } = useDesk();
  const run = useCommand();
  const made = moment(database.created_at, language);
  const measured = moment(database.size_at, language);
  const until = moment(database.kept_until ?? null, language);
  const facts = [
    name,
    made && trans.__('Made %1', made),
    until && trans.__('What a restore replaced: deleted after %1', until),
    measured && trans.__('Measured %1', measured)
  ];
  const foreign = !system && ![owner, ''].includes(reader.username);
  return (
    <li
      className="jx-Row jx-Database"
      data-database={name}
      data-system={system}
      tabIndex={current ? 0 : -1}
      aria-label={system ? trans.__('%1, PostgreSQL’s own', name) : name}
      title={facts.filter(Boolean).join('\n')}
    >
      <div className="jx-Row-head">
        <span className="jx-Title jx-mod-strong">{name}</span>
        <span className="jx-Row-actions">
          <IconButton
            icon={notebookIcon}
            label={trans.__('Open a notebook in %1', name)}
            onClick={() => run(CommandIDs.openDatabase, { name })}
          />
          <IconButton
            icon={copyIcon}
            label={trans.__('Copy the connection URL of %1', name)}
            onClick={() => run(CommandIDs.copyDatabaseUrl, { name })}
          />
          <IconButton
            icon={ellipsesIcon}
            label={trans.__('More for %1', name)}
            hasMenu
            onClick={openMenu}
          />
        </span>
      </div>
      <div className="jx-Row-line">
        <span className="jx-Row-minor">
          {size === null ? trans.__('not measured yet') : bytes(size)}
        </span>
        {database.over_quota && (
          <span
            className="jx-Chip"
            title={
              database.read_only
                ? trans.__(
                    'The owner’s databases are larger than they may be together: new sessions only read, until that changes. Delete what is not needed.'
                  )
                : trans.__(
                    'The owner’s databases are larger than they may be together: no more can be made. Delete what is not needed.'
                  )
            }
          >
            {database.read_only
              ? trans.__('over the limit, read-only')
              : trans.__('over the limit')}
          </span>
        )}
        {system && (
          <span className="jx-Chip">{trans.__('PostgreSQL’s own')}</span>
        )}
        {foreign && (
          <span className="jx-Chip" title={trans.__('Owner')}>
            {owner}
          </span>
        )}
      </div>
    </li>
  );
});
