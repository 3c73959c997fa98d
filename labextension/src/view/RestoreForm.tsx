import * as React from 'react';

import {
  Backup,
  earliest,
  fromField,
  isEnd,
  lanesOf,
  NewRestore,
  restorable,
  Restore,
  RestoreMode,
  sourceFor,
  sourcesOf,
  toField,
  zoneOf
} from '../model/backups';
import { restoreProblem } from '../model/backupstore';
import { ApiError, wordsOf } from '../model/reply';
import { Checkbox } from './Checkbox';
import { Choice } from './Choice';
import { readerOf, useDesk, useListed } from './desk';
import { Field } from './Field';
import { RestorePlan } from './RestorePlan';
import { Picked, TimeLine } from './TimeLine';

/** Milliseconds after the last change until the server is asked what would happen. */
const PATIENCE = 350;

/** A restore whose dry run was read. */
export interface Readied {
  readonly backup: string;
  readonly wish: NewRestore;
}

/** What the server says that would happen, for the wish that it was asked about. */
type Dry =
  | { readonly key: string; readonly plan: Restore }
  | { readonly key: string; readonly problem: string };

/** A moment, databases, and what would happen; tells when all of it was read and agreed to. */
export function RestoreForm(props: {
  begin: Picked;
  busy: boolean;
  /** Why the restore did not begin. */
  failure: string | null;
  onReady: (readied: Readied | null) => void;
}): React.ReactElement {
  const { begin, busy, failure, onReady } = props;
  const desk = useDesk();
  const { backups, trans, language } = desk;
  const { items } = useListed(backups);
  const there = useListed(desk.databases).items;
  const [now] = React.useState(Date.now);
  const { admin, username } = readerOf(desk);
  const all = React.useMemo(() => [...(items?.values() ?? [])], [items]);
  const lanes = lanesOf(all, now);
  const [timeline, setTimeline] = React.useState(begin.timeline);
  const [text, setText] = React.useState(() => toField(begin.moment));
  const [whole, setWhole] = React.useState(false);
  const [chosen, setChosen] = React.useState<readonly string[] | null>(null);
  const [mode, setMode] = React.useState<RestoreMode>('in_place');
  const [typed, setTyped] = React.useState('');
  const [dry, setDry] = React.useState<Dry | null>(null);

  const moment = fromField(text);
  const sources = moment === null ? [] : sourcesOf(all, timeline, moment);
  const own = [...(there?.values() ?? [])].filter(
    ({ owner }) => admin || owner === username
  );
  const offered = moment === null ? [] : restorable(sources, moment, own);
  // The only one need not be chosen.
  const databases =
    chosen?.filter(name => offered.includes(name)) ??
    (offered.length === 1 ? offered : []);
  const source = sourceFor(sources, whole ? [] : databases);
  const word = trans.__('restore');
  const replacesAll = whole && mode === 'in_place';
  const agreed = !replacesAll || typed.trim().toLowerCase() === word;
  const asked =
    source && moment !== null && (whole || databases.length)
      ? {
          backup: source.id,
          wish: {
            ...(!isEnd(source, moment, whole ? [] : databases) && {
              target_time: new Date(moment).toISOString(),
              timeline
            }),
            databases: whole ? [] : databases,
            mode
          }
        }
      : null;
  const key = JSON.stringify(asked);
  const read = dry?.key === key && 'plan' in dry;

  React.useEffect(() => {
    if (!asked) {
      return;
    }
    let gone = false;
    const timer = setTimeout(() => {
      backups
        .plan(asked.backup, asked.wish)
        .then(plan => ({ key, plan }))
        .catch((reason: unknown) => ({
          key,
          problem:
            reason instanceof ApiError && reason.status
              ? restoreProblem(reason)
              : wordsOf(reason, trans.__('The server does not answer.'))
        }))
        .then(told => {
          if (!gone) {
            setDry(told);
          }
        })
        .catch(() => undefined);
    }, PATIENCE);
    return () => {
      gone = true;
      clearTimeout(timer);
    };
    // eslint-disable-next-line react-hooks/exhaustive-deps -- the key says all of `asked`
  }, [key]);
  React.useEffect(() => {
    onReady(read && agreed ? asked : null);
    // eslint-disable-next-line react-hooks/exhaustive-deps -- the key says all of `asked`
  }, [key, read, agreed]);

  const pick = (picked: Picked) => {
    setTimeline(picked.timeline);
    setText(toField(picked.moment));
  };
  const toBackup = (backup: Backup) =>
    pick({ timeline: backup.timeline, moment: earliest(backup) });
  return (
    <div className="jx-RestoreForm">
      <TimeLine
        lanes={lanes}
        now={now}
        picked={moment === null ? null : { timeline, moment }}
        disabled={busy}
        onPick={pick}
        onBackup={toBackup}
      />
      <Field
        label={trans.__('Moment')}
        value={text}
        problem={
          moment === null
            ? trans.__('This is no moment.')
            : source
              ? undefined
              : trans.__('No backup reaches this moment.')
        }
        hint={trans.__('On your clock (%1)', zoneOf(moment ?? now, language))}
        onChange={setText}
        input={{
          type: 'datetime-local',
          step: 1,
          disabled: busy,
          autoFocus: true
        }}
      />
      {source && (
        <fieldset className="jx-Options" disabled={busy}>
          <legend>{trans.__('What goes back')}</legend>
          {offered.map(name => (
            <Checkbox
              key={name}
              label={name}
              checked={!whole && databases.includes(name)}
              disabled={busy || whole}
              onChange={checked =>
                setChosen(
                  checked
                    ? [...databases, name]
                    : databases.filter(each => each !== name)
                )
              }
            />
          ))}
          {admin && (
            <Checkbox
              label={trans.__('The whole cluster: everybody’s databases')}
              checked={whole}
              disabled={busy}
              onChange={setWhole}
            />
          )}
        </fieldset>
      )}
      {source && admin && (
        <Choice
          label={trans.__('Where to')}
          value={mode}
          options={[
            ['in_place', trans.__('In the place of what is there now')],
            ['side', trans.__('Beside it, under a new port')]
          ]}
          hint={
            mode === 'side'
              ? trans.__(
                  'Nothing is replaced: look into it, and take what you need. Files stay as they are, too.'
                )
              : undefined
          }
          disabled={busy}
          onChange={value => setMode(value as RestoreMode)}
        />
      )}
      <div className="jx-RestoreForm-plan" aria-live="polite">
        {!asked ? (
          <div className="jx-Hint">
            {trans.__(
              'Choose what goes back: what would happen is shown here.'
            )}
          </div>
        ) : dry?.key !== key ? (
          <div className="jx-Hint">
            {trans.__('Looking what would happen…')}
          </div>
        ) : 'plan' in dry ? (
          <RestorePlan plan={dry.plan} />
        ) : (
          <div className="jx-Failure" role="alert">
            {dry.problem}
          </div>
        )}
      </div>
      {replacesAll && read && (
        <Field
          label={trans.__('Type %1 to replace the whole cluster', word)}
          value={typed}
          onChange={setTyped}
          input={{
            disabled: busy,
            spellCheck: false,
            autoCapitalize: 'none',
            autoComplete: 'off'
          }}
        />
      )}
      {failure && (
        <div className="jx-Failure" role="alert">
          {failure}
        </div>
      )}
    </div>
  );
}
