import * as React from 'react';

import { CLUSTER_ROLE, DatabaseWish } from '../model/databases';
import type { FormProps } from '../widgets/formdialog';
import { Choice } from './Choice';
import { useDesk } from './desk';
import { Field } from './Field';

export interface NewDatabaseWish extends DatabaseWish {
  /** What only administrators are asked; null for everybody else. */
  readonly offered: {
    readonly owners: readonly string[];
    readonly templates: readonly string[];
  } | null;
}

/** A database to be: what it is called, and what it begins with. */
export function NewDatabaseForm(
  props: FormProps<NewDatabaseWish>
): React.ReactElement {
  const { values, problems, busy, change } = props;
  const { offered } = values;
  const { trans } = useDesk();
  return (
    <div className="jx-DatabaseForm">
      <NameField
        label={trans.__('Name')}
        value={values.name}
        problem={problems['name']}
        disabled={busy}
        onChange={name => change({ name })}
      />
      <Field
        label={trans.__('Extensions')}
        value={values.extensions}
        problem={problems['extensions']}
        hint={trans.__(
          'Optional: names with commas between them, such as pg_trgm, hstore'
        )}
        onChange={extensions => change({ extensions })}
        input={{ disabled: busy, spellCheck: false, autoComplete: 'off' }}
      />
      {offered && (
        <>
          <Choice
            label={trans.__('Owner')}
            value={values.owner}
            options={[
              ['', trans.__('%1, the cluster’s own role', CLUSTER_ROLE)],
              ...offered.owners.map(name => [name, name] as const)
            ]}
            problem={problems['owner']}
            disabled={busy}
            onChange={owner => change({ owner })}
          />
          <Choice
            label={trans.__('Template')}
            value={values.template}
            options={[
              ['', trans.__('none: it begins empty')],
              ...offered.templates.map(name => [name, name] as const)
            ]}
            problem={problems['template']}
            hint={trans.__('Its content is copied; nobody may be in it.')}
            disabled={busy}
            onChange={template => change({ template })}
          />
        </>
      )}
    </div>
  );
}

/** What a database shall be called. */
export function NameField(props: {
  label: string;
  value: string;
  problem: string | undefined;
  disabled: boolean;
  onChange: (name: string) => void;
}): React.ReactElement {
  const { trans } = useDesk();
  return (
    <Field
      label={props.label}
      value={props.value}
      problem={props.problem}
      hint={trans.__('Letters, digits or whatever else can be printed')}
      onChange={props.onChange}
      input={{
        disabled: props.disabled,
        autoFocus: true,
        spellCheck: false,
        autoCapitalize: 'none',
        autoComplete: 'off',
        maxLength: 63
      }}
    />
  );
}
