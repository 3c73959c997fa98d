import * as React from 'react';

import { databaseIcon } from '../icons';
import { listed } from '../model/databases';
import { CommandIDs } from '../tokens';
import { DatabaseRow } from './DatabaseRow';
import { readerOf, useCommand, useDesk, useListed, usePeople } from './desk';
import { Filter } from './Filter';
import { ItemList } from './ItemList';
import { ListFrame } from './ListFrame';
import { useOperationRows } from './OperationRow';

const FILTER_FROM = 8;

/** The databases that the caller may use, and those on their way. */
export function DatabaseList(): React.ReactElement {
  const desk = useDesk();
  const { databases, trans } = desk;
  const run = useCommand();
  const { items } = useListed(databases);
  const operations = useOperationRows(/^database\./);
  const me = usePeople(state => state.me);
  const [query, setQuery] = React.useState('');
  // eslint-disable-next-line react-hooks/exhaustive-deps -- the desk says who `me` is
  const reader = React.useMemo(() => readerOf(desk), [me]);
  const all = listed(items?.values() ?? [], reader);
  const shown = all.filter(({ name, owner }) =>
    [name, owner].some(text => text.toLowerCase().includes(query.toLowerCase()))
  );
  const none = all.every(({ system }) => system) && !operations.length;
  return (
    <ListFrame
      store={databases}
      icon={databaseIcon}
      nothing={
        none
          ? {
              title: trans.__('No databases yet'),
              text: trans.__(
                'A PostgreSQL database keeps tables that outlive kernels, answers SQL, and serves many notebooks and programs at once.'
              ),
              accept: trans.__('New database'),
              command: CommandIDs.createDatabase
            }
          : null
      }
    >
      {all.length >= FILTER_FROM && (
        <Filter
          label={trans.__('Filter databases')}
          query={query}
          onChange={setQuery}
        />
      )}
      <ItemList
        label={trans.__('Databases')}
        of="database"
        items={shown}
        keyOf={({ name }) => name}
        above={operations}
        onDelete={({ name }) => run(CommandIDs.removeDatabase, { name })}
      >
        {(database, current) => (
          <DatabaseRow database={database} reader={reader} current={current} />
        )}
      </ItemList>
      {query && !shown.length && (
        <div className="jx-Loading">
          {trans.__('No database fits “%1”.', query)}
        </div>
      )}
    </ListFrame>
  );
}
