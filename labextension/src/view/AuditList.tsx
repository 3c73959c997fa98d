import { HTMLSelect } from '@jupyterlab/ui-components';
import * as React from 'react';

import { age, moment } from '../model/format';
import type { AuditEntry } from '../model/people';
import { wordsOf } from '../model/reply';
import { useDesk, usePeople } from './desk';
import { ItemList } from './ItemList';
import { Failed } from './Notice';

const TYPING = 400;

/** Who did what, newest first. */
export function AuditList(): React.ReactElement {
  const { people, trans } = useDesk();
  const audit = usePeople(state => state.audit);
  const filter = usePeople(state => state.auditFilter);
  const [loading, setLoading] = React.useState(false);
  if (!audit || audit.state === 'loading') {
    return <div className="jx-Loading">{trans.__('Loading…')}</div>;
  }
  if (audit.state === 'failed') {
    const away = trans.__('The server does not answer.');
    return (
      <Failed
        text={wordsOf(audit.reason, away)}
        onRetry={() => void people.refreshAudit()}
      />
    );
  }
  const { entries, next } = audit.value;
  const more = () => {
    setLoading(true);
    people
      .moreAudit()
      .catch(() => people.refreshAudit())
      .finally(() => setLoading(false));
  };
  return (
    <div className="jx-Section">
      <AuditFilters />
      {!entries.length && (
        <div className="jx-Loading">
          {filter.user || filter.action
            ? trans.__('Nothing fits.')
            : trans.__('Nothing was done yet.')}
        </div>
      )}
      <ItemList
        label={trans.__('Audit')}
        of="entry"
        items={entries}
        keyOf={({ id }) => id}
      >
        {(entry, current) => <AuditRow entry={entry} current={current} />}
      </ItemList>
      {next !== null && (
        <button
          type="button"
          className="jx-TextButton jx-LoadMore"
          disabled={loading}
          onClick={more}
        >
          {loading ? trans.__('Loading…') : trans.__('Load more')}
        </button>
      )}
    </div>
  );
}

function AuditFilters(): React.ReactElement {
  const { people, trans } = useDesk();
  const users = usePeople(state => state.users);
  const filter = usePeople(state => state.auditFilter);
  const [action, setAction] = React.useState(filter.action);
  React.useEffect(() => {
    if (action === filter.action) {
      return undefined;
    }
    const timer = setTimeout(() => {
      void people.refreshAudit({ ...filter, action: action.trim() });
    }, TYPING);
    return () => clearTimeout(timer);
  }, [action, filter, people]);
  const names = [...(users?.values() ?? [])]
    .map(({ username }) => username)
    .sort((a, b) => a.localeCompare(b));
  return (
    <div className="jx-Filter jx-Filters">
      <HTMLSelect
        aria-label={trans.__('Whose')}
        value={filter.user}
        onChange={event =>
          void people.refreshAudit({ ...filter, user: event.target.value })
        }
      >
        <option value="">{trans.__('everybody')}</option>
        {names.map(name => (
          <option key={name}>{name}</option>
        ))}
      </HTMLSelect>
      <input
        type="search"
        className="jp-mod-styled jx-Input"
        aria-label={trans.__('Action')}
        placeholder={trans.__('action')}
        title={trans.__('container:start, or container:* for all of them')}
        spellCheck={false}
        value={action}
        onChange={event => setAction(event.target.value)}
      />
    </div>
  );
}

const AuditRow = React.memo(function AuditRow(props: {
  entry: AuditEntry;
  current: boolean;
}): React.ReactElement {
  const { entry, current } = props;
  const { action, target, outcome } = entry;
  const { trans, language } = useDesk();
  const who = entry.username ?? trans.__('nobody');
  const words = {
    succeeded: '',
    refused: trans.__('refused'),
    failed: trans.__('failed')
  }[outcome];
  const all = [
    moment(entry.at, language),
    `${who}: ${action} ${target}`,
    `${entry.credential} · ${entry.address}`,
    [String(entry.status), entry.message].filter(Boolean).join(' ')
  ];
  return (
    <li
      className="jx-Row jx-Audit"
      data-entry={entry.id}
      tabIndex={current ? 0 : -1}
      aria-label={[who, action, target, words].filter(Boolean).join(', ')}
      title={all.join('\n')}
    >
      <div className="jx-Row-line jx-Audit-what">
        <span className="jx-Title">{action}</span>
        <span className="jx-Row-minor">{target}</span>
      </div>
      <div className="jx-Row-line">
        {words && (
          <span className="jx-Status jx-mod-bad" title={entry.message}>
            {words}
          </span>
        )}
        <span className="jx-Row-minor">
          {[who, age(entry.at, language, Date.now()), entry.address]
            .filter(Boolean)
            .join(' · ')}
        </span>
      </div>
    </li>
  );
});
