import * as React from 'react';

import type { Restore } from '../model/backups';
import { bytes, moment } from '../model/format';
import { useDesk } from './desk';

/** What a restore would do: what it replaces, where that is kept, and what it needs. */
export function RestorePlan(props: { plan: Restore }): React.ReactElement {
  const { plan } = props;
  const { trans, language } = useDesk();
  const back = moment(plan.target_time, language);
  const seconds = Math.max(1, Math.round(plan.seconds));
  return (
    <dl className="jx-Facts jx-RestorePlan">
      <dt>
        {plan.mode === 'side' ? trans.__('Shows') : trans.__('Goes back to')}
      </dt>
      <dd>{trans.__('%1 (timeline %2)', back, plan.timeline)}</dd>
      {plan.mode === 'side' ? <Beside plan={plan} /> : <InPlace plan={plan} />}
      {plan.mode === 'in_place' &&
        (plan.cluster || plan.databases.length > 0) && (
          <>
            <dt>{trans.__('Loses')}</dt>
            <dd>
              {trans.__(
                'what was written there after that moment; it is in what is kept'
              )}
            </dd>
          </>
        )}
      {plan.bytes.kept_earlier ? (
        <>
          <dt>{trans.__('Kept already')}</dt>
          <dd>
            {trans.__(
              '%1 of earlier restores, for a while',
              bytes(plan.bytes.kept_earlier)
            )}
          </dd>
        </>
      ) : null}
      <dt>{trans.__('Needs')}</dt>
      <dd>
        {trans.__(
          '%1 beside it; %2 are free',
          bytes(plan.bytes.side),
          bytes(plan.bytes.free)
        )}
      </dd>
      <dt>{trans.__('Takes')}</dt>
      <dd>{trans._n('about %1 second', 'about %1 seconds', seconds)}</dd>
    </dl>
  );
}

function Beside(props: { plan: Restore }): React.ReactElement {
  const { cluster, databases } = props.plan;
  const { trans } = useDesk();
  return (
    <>
      <dt>{trans.__('Holds')}</dt>
      <dd>
        {cluster
          ? trans.__('the whole cluster: the databases of everybody')
          : databases.join(', ')}
      </dd>
      <dt>{trans.__('Replaces')}</dt>
      <dd>
        {trans.__(
          'nothing: it is left beside, at a port of its own, until it is deleted'
        )}
      </dd>
      <dt>{trans.__('Lets in')}</dt>
      <dd>{trans.__('the cluster’s superuser alone')}</dd>
    </>
  );
}

function InPlace(props: { plan: Restore }): React.ReactElement {
  const { plan } = props;
  const { trans, language } = useDesk();
  const { databases, kept, bytes: sizes } = plan;
  const whole = plan.cluster;
  const files = plan.files.map(({ path }) => path).join(', ');
  const missing = databases.filter(name => !(name in kept));
  return (
    <>
      <dt>{trans.__('Replaces')}</dt>
      <dd>
        {whole
          ? trans.__(
              'the whole cluster, %1: the databases of everybody. All sessions end.',
              bytes(sizes.live)
            )
          : trans.__(
              '%1, %2. The sessions in there end.',
              databases.filter(name => name in kept).join(', ') ||
                trans.__('nothing'),
              bytes(sizes.kept)
            )}
      </dd>
      {missing.length > 0 && !whole && (
        <>
          <dt>{trans.__('Brings back')}</dt>
          <dd>{missing.join(', ')}</dd>
        </>
      )}
      {files && plan.files_time && (
        <>
          <dt>{trans.__('Puts back')}</dt>
          <dd>
            {trans.__(
              '%1, as they were at %2',
              files,
              moment(plan.files_time, language)
            )}
          </dd>
          <dt>{trans.__('Keeps your folder as')}</dt>
          <dd>{trans.__('the snapshot %1', plan.kept_files ?? '')}</dd>
        </>
      )}
      {Object.keys(kept).length > 0 && (
        <>
          <dt>{trans.__('Keeps it as')}</dt>
          <dd>
            {Object.values(kept).map(name => (
              <div key={name} className="jx-RestorePlan-kept">
                {name}
              </div>
            ))}
          </dd>
        </>
      )}
    </>
  );
}
