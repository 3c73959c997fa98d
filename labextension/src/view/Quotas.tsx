import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { Quota } from '../model/people';
import { useDesk, usePeople } from './desk';

/** How much of each limit is used. */
export function Quotas(): React.ReactElement {
  const { trans } = useDesk();
  const quotas = usePeople(state => state.quotas) ?? [];
  return (
    <ul className="jx-Quotas" aria-label={trans.__('Limits')}>
      {quotas.filter(isTelling).map(([resource, quota]) => (
        <QuotaRow key={resource} name={resource} quota={quota} />
      ))}
    </ul>
  );
}

/** Whether there is something to say of a limit. */
export function isTelling([, quota]: readonly [string, Quota]): boolean {
  return quota.limit !== null || Boolean(quota.used);
}

function QuotaRow(props: { name: string; quota: Quota }): React.ReactElement {
  const { trans } = useDesk();
  const { limit, used } = props.quota;
  const name = resourceName(trans, props.name);
  const usedText = props.quota.used_text ?? String(used ?? 0);
  const part = limit ? Math.min(1, (used ?? 0) / limit) : 1;
  const full = limit !== null && (used ?? 0) >= limit;
  const words =
    limit === null
      ? trans.__('%1, no limit', usedText)
      : trans.__('%1 of %2', usedText, props.quota.limit_text ?? limit);
  return (
    <li className="jx-Quota" data-full={full}>
      <div className="jx-Quota-words">
        <span>{name}</span>
        <span className="jx-Number">{words}</span>
      </div>
      {limit !== null && (
        <div
          className="jx-Progress"
          role="meter"
          aria-label={name}
          aria-valuemin={0}
          aria-valuemax={limit}
          aria-valuenow={used ?? 0}
          aria-valuetext={words}
        >
          <div
            className="jx-Progress-bar"
            style={{ width: `${part * 100}%` }}
          />
        </div>
      )}
    </li>
  );
}

function resourceName(trans: TranslationBundle, resource: string): string {
  const names: Record<string, string> = {
    containers: trans.__('Containers'),
    cpu: trans.__('CPU cores'),
    memory: trans.__('Memory'),
    disk: trans.__('Disk'),
    gpus: trans.__('GPUs'),
    databases: trans.__('Databases'),
    database_size: trans.__('Size of databases'),
    machines: trans.__('Virtual machines')
  };
  return names[resource] ?? resource;
}
