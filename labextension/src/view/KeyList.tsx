import { lockIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { wordsOf } from '../model/reply';
import { CommandIDs } from '../tokens';
import { useCommand, useDesk, usePeople } from './desk';
import { Filter } from './Filter';
import { ItemList } from './ItemList';
import { KeyRow } from './KeyRow';
import { Failed, Notice } from './Notice';

const FILTER_FROM = 8;

/** The caller's API keys, newest first. */
export function KeyList(): React.ReactElement {
  const { people, trans } = useDesk();
  const run = useCommand();
  const keys = usePeople(state => state.keys);
  const [query, setQuery] = React.useState('');
  if (keys.state === 'loading') {
    return <div className="jx-Loading">{trans.__('Loading…')}</div>;
  }
  if (keys.state === 'failed') {
    const away = trans.__('The server does not answer.');
    return (
      <Failed
        text={wordsOf(keys.reason, away)}
        onRetry={() => void people.refreshKeys()}
      />
    );
  }
  if (!keys.value.length) {
    return (
      <Notice
        icon={lockIcon}
        title={trans.__('No API keys yet')}
        text={trans.__(
          'With a key, scripts and other machines can use what is yours here.'
        )}
      >
        <button
          type="button"
          className="jp-mod-styled jp-mod-accept jx-Button"
          onClick={() => run(CommandIDs.createKey)}
        >
          {trans.__('Make your first key')}
        </button>
      </Notice>
    );
  }
  const shown = keys.value.filter(({ name, hint }) =>
    [name, hint].some(text => text.toLowerCase().includes(query.toLowerCase()))
  );
  return (
    <div className="jx-Section">
      {keys.value.length >= FILTER_FROM && (
        <Filter
          label={trans.__('Filter keys')}
          query={query}
          onChange={setQuery}
        />
      )}
      <ItemList
        label={trans.__('API keys')}
        of="key"
        items={shown}
        keyOf={({ id }) => id}
        onDelete={({ id }) => run(CommandIDs.revokeKey, { id })}
      >
        {(key, current) => <KeyRow apiKey={key} current={current} />}
      </ItemList>
      {query && !shown.length && (
        <div className="jx-Loading">{trans.__('No key fits “%1”.', query)}</div>
      )}
    </div>
  );
}
