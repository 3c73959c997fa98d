import { HTMLSelect } from '@jupyterlab/ui-components';
import * as React from 'react';

import { Chosen, Reach, ThingName, THINGS } from '../model/scopes';
import type { FormProps } from '../widgets/formdialog';
import { Choice } from './Choice';
import { useDesk } from './desk';
import { Field, Problem } from './Field';

/** A key to be, as it is asked for. */
export interface KeyWish {
  readonly name: string;
  /** Days, `never` or `date`. */
  readonly expires: string;
  readonly date: string;
  readonly access: 'all' | 'look' | 'chosen';
  readonly chosen: Chosen;
}

export const NO_KEY: KeyWish = {
  name: '',
  expires: '90',
  date: '',
  access: 'all',
  chosen: {}
};

/** What a new API key is for, how long it lives, and what it opens. */
export function NewKeyForm(props: FormProps<KeyWish>): React.ReactElement {
  const { values, problems, busy, change } = props;
  const { trans } = useDesk();
  return (
    <>
      <Field
        label={trans.__('Name')}
        value={values.name}
        problem={problems['name']}
        hint={trans.__('What it is for: you will know it by this later.')}
        onChange={name => change({ name })}
        input={{ maxLength: 100, disabled: busy, autoFocus: true }}
      />
      <Choice
        label={trans.__('Expires')}
        value={values.expires}
        options={[
          ['30', trans.__('in 30 days')],
          ['90', trans.__('in 90 days')],
          ['365', trans.__('in a year')],
          ['date', trans.__('on a date…')],
          ['never', trans.__('never')]
        ]}
        problem={values.expires === 'date' ? undefined : problems['expires_at']}
        disabled={busy}
        onChange={expires => change({ expires })}
      />
      {values.expires === 'date' && (
        <Field
          label={trans.__('Date')}
          value={values.date}
          problem={problems['expires_at']}
          onChange={date => change({ date })}
          input={{ type: 'date', disabled: busy }}
        />
      )}
      <Choice
        label={trans.__('Access')}
        value={values.access}
        options={[
          ['all', trans.__('everything that you may do')],
          ['look', trans.__('look at everything, change nothing')],
          ['chosen', trans.__('only what is chosen here…')]
        ]}
        problem={values.access === 'chosen' ? undefined : problems['scopes']}
        disabled={busy}
        onChange={access => change({ access: access as KeyWish['access'] })}
      />
      {values.access === 'chosen' && (
        <Scopes
          chosen={values.chosen}
          problem={problems['scopes']}
          onChange={chosen => change({ chosen })}
        />
      )}
    </>
  );
}

function Scopes(props: {
  chosen: Chosen;
  problem: string | undefined;
  onChange: (chosen: Chosen) => void;
}): React.ReactElement {
  const { chosen, problem, onChange } = props;
  const { trans } = useDesk();
  const names: Record<ThingName, string> = {
    container: trans.__('Containers'),
    image: trans.__('Images'),
    metrics: trans.__('Use of CPU and memory'),
    operation: trans.__('Long work'),
    event: trans.__('Events')
  };
  return (
    <fieldset className="jx-Scopes">
      <legend className="jx-Hint">
        {trans.__('What the key opens, thing by thing')}
      </legend>
      {THINGS.map(thing => (
        <label key={thing} className="jx-Scope">
          <span>{names[thing]}</span>
          <HTMLSelect
            value={chosen[thing] ?? 'none'}
            onChange={event =>
              onChange({ ...chosen, [thing]: event.target.value as Reach })
            }
          >
            <option value="none">{trans.__('nothing')}</option>
            <option value="read">{trans.__('look')}</option>
            <option value="all">{trans.__('everything')}</option>
          </HTMLSelect>
        </label>
      ))}
      <Problem text={problem} />
    </fieldset>
  );
}
