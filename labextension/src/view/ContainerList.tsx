import * as React from 'react';

import { computeIcon } from '../icons';
import type { Container } from '../model/types';
import { CommandIDs } from '../tokens';
import { Banner } from './Banner';
import { ContainerRow } from './ContainerRow';
import { useCommand, useDesk, useStore } from './desk';
import { Filter } from './Filter';
import { ItemList } from './ItemList';
import { Notice } from './Notice';
import { useOperationRows } from './OperationRow';
import { Unavailable } from './Unavailable';

/** With so many rows a filter saves more time than it takes room. */
const FILTER_FROM = 8;

/** The caller's containers, newest first. */
export function ContainerList(): React.ReactElement {
  const { trans } = useDesk();
  const run = useCommand();
  const containers = useStore(state => state.containers);
  // What is done to other things is shown where those are.
  const operations = useOperationRows(/^(?!(?:image|database|backup)\.)/);
  const unreached = useStore(
    state => state.engine?.available === false && !state.containers?.size
  );
  const connection = useStore(state => state.connection);
  const missing = useStore(state => state.missing);
  const [query, setQuery] = React.useState('');

  if (missing || unreached || (!containers && connection !== 'open')) {
    return <Unavailable />;
  }
  if (!containers) {
    return <div className="jx-Loading">{trans.__('Loading…')}</div>;
  }
  const all = [...containers.values()].sort(newestFirst);
  const shown = all.filter(container => fits(container, query));
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
        <ItemList
          label={trans.__('Containers')}
          of="cid"
          items={shown}
          keyOf={({ cid }) => cid}
          above={operations}
          onDelete={({ cid }) => run(CommandIDs.remove, { cid })}
        >
          {(container, current) => (
            <ContainerRow container={container} current={current} />
          )}
        </ItemList>
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
