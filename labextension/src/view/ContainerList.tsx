import * as React from 'react';

import { computeIcon } from '../icons';
import type { Container } from '../model/types';
import { CommandIDs } from '../tokens';
import { Banner } from './Banner';
import { ContainerRow } from './ContainerRow';
import { useCommand, useDesk, useStore } from './desk';
import { Filter } from './Filter';
import { List } from './List';
import { Notice } from './Notice';
import { OperationRow } from './OperationRow';
import { Unavailable } from './Unavailable';

/** With so many rows a filter saves more time than it takes room. */
const FILTER_FROM = 8;

/** The caller's containers, newest first. */
export function ContainerList(): React.ReactElement {
  const { trans } = useDesk();
  const run = useCommand();
  const containers = useStore(state => state.containers);
  const current = useStore(state => state.current);
  const unreached = useStore(
    state => state.engine?.available === false && !state.containers?.size
  );
  const connection = useStore(state => state.connection);
  const missing = useStore(state => state.missing);
  const [query, setQuery] = React.useState('');
  const [focused, setFocused] = React.useState<number | null>(null);

  if (missing || unreached || (!containers && connection !== 'open')) {
    return <Unavailable />;
  }
  if (!containers) {
    return <div className="jx-Loading">{trans.__('Loading…')}</div>;
  }
  const all = [...containers.values()].sort(newestFirst);
  const shown = all.filter(container => fits(container, query));
  const operations = current.filter(
    ({ kind }) => !/^(?:image|database|backup)\./.test(kind)
  );
  const reached = shown.some(({ cid }) => cid === focused)
    ? focused
    : (shown[0]?.cid ?? null);
  return (
    <div className="jx-Section">
      <Banner />
      {all.length >= FILTER_FROM && (
        <Filter
          label={trans.__('Filter containers')}
          query={query}
          onChange={setQuery}
        />
      )}
      {!all.length && !operations.length ? (
        <Notice
          icon={computeIcon}
          title={trans.__('No containers yet')}
          text={trans.__(
            'Run a service, a database or a tool beside your notebooks.'
          )}
        >
          <button
            type="button"
            className="jp-mod-styled jp-mod-accept jx-Button"
            onClick={() => run(CommandIDs.create)}
          >
            {trans.__('Start your first container')}
          </button>
        </Notice>
      ) : (
        <List
          label={trans.__('Containers')}
          onFocusRow={row => setFocused(Number(row.dataset['cid']))}
          onKey={(key, row) => {
            const cid = Number(row.dataset['cid']);
            if (key === 'Delete' && cid) {
              run(CommandIDs.remove, { cid });
            }
          }}
        >
          {operations.map(operation => (
            <OperationRow key={operation.id} operation={operation} />
          ))}
          {shown.map(container => (
            <ContainerRow
              key={container.cid}
              container={container}
              current={container.cid === reached}
            />
          ))}
        </List>
      )}
      {query && !shown.length && (
        <div className="jx-Loading">
          {trans.__('No container fits “%1”.', query)}
        </div>
      )}
    </div>
  );
}

function newestFirst(a: Container, b: Container): number {
  return b.created_at.localeCompare(a.created_at) || b.cid - a.cid;
}

function fits(container: Container, query: string): boolean {
  const { name, image, status, owner } = container;
  return [name, image, status, owner].some(text =>
    text.toLowerCase().includes(query.toLowerCase())
  );
}
