import * as React from 'react';

import { databaseIcon } from '../icons';
import { listed } from '../model/databases';
import { CommandIDs } from '../tokens';
import { LostBanner } from './Banner';
import { DatabaseRow } from './DatabaseRow';
import {
  readerOf,
  useCommand,
  useDatabases,
  useDesk,
  usePeople,
  useStore
} from './desk';
import { Filter } from './Filter';
import { List } from './List';
import { Notice } from './Notice';
import { OperationRow } from './OperationRow';

const FILTER_FROM = 8;

/** The databases that the caller may use, and those on their way. */
export function DatabaseList(): React.ReactElement {
  const desk = useDesk();
  const { databases, trans } = desk;
  const run = useCommand();
  const { items, refusal } = useDatabases();
  const current = useStore(state => state.current);
  const me = usePeople(state => state.me);
  const [query, setQuery] = React.useState('');
  const [focused, setFocused] = React.useState<string | null>(null);
  // eslint-disable-next-line react-hooks/exhaustive-deps -- the desk says who `me` is
  const reader = React.useMemo(() => readerOf(desk), [me]);
  const operations = current.filter(({ kind }) => kind.startsWith('database.'));
  if (refusal) {
    return (
      <Notice icon={databaseIcon} title={refusal.what} text={refusal.cure}>
        <button
          type="button"
          className="jp-mod-styled jp-mod-reject jx-Button"
          onClick={() => databases.retry()}
        >
          {trans.__('Try again')}
        </button>
      </Notice>
    );
  }
  if (!items) {
    return (
      <>
        <LostBanner />
        <div className="jx-Loading">{trans.__('Loading…')}</div>
      </>
    );
  }
  const all = listed(items.values(), reader);
  const shown = all.filter(({ name, owner }) =>
    [name, owner].some(text => text.toLowerCase().includes(query.toLowerCase()))
  );
  const reached = shown.some(({ name }) => name === focused)
    ? focused
    : (shown[0]?.name ?? null);
  return (
    <div className="jx-Section">
      <LostBanner />
      {all.length >= FILTER_FROM && (
        <Filter
          label={trans.__('Filter databases')}
          query={query}
          onChange={setQuery}
        />
      )}
      {all.every(({ system }) => system) && !operations.length && (
        <Notice
          icon={databaseIcon}
          title={trans.__('No databases yet')}
          text={trans.__(
            'A PostgreSQL database keeps tables that outlive kernels, answers SQL, and serves many notebooks and programs at once.'
          )}
        >
          <button
            type="button"
            className="jp-mod-styled jp-mod-accept jx-Button"
            onClick={() => run(CommandIDs.createDatabase)}
          >
            {trans.__('New database')}
          </button>
        </Notice>
      )}
      <List
        label={trans.__('Databases')}
        onFocusRow={row => setFocused(row.dataset['database'] ?? null)}
        onKey={(key, row) => {
          const name = row.dataset['database'];
          if (key === 'Delete' && name !== undefined) {
            run(CommandIDs.removeDatabase, { name });
          }
        }}
      >
        {operations.map(operation => (
          <OperationRow key={operation.id} operation={operation} />
        ))}
        {shown.map(database => (
          <DatabaseRow
            key={`database:${database.name}`}
            database={database}
            reader={reader}
            current={database.name === reached}
          />
        ))}
      </List>
      {query && !shown.length && (
        <div className="jx-Loading">
          {trans.__('No database fits “%1”.', query)}
        </div>
      )}
    </div>
  );
}
