import * as React from 'react';

import { Group, GROUPS } from '../model/snapshots';
import type { FormProps } from '../widgets/formdialog';
import { Checkbox } from './Checkbox';
import { readerOf, useDesk } from './desk';
import { Field, Problem } from './Field';
import { groupName } from './snapshotwords';

export interface SnapshotWish {
  readonly name: string;
  readonly description: string;
  readonly groups: readonly Group[];
}

/** What a snapshot is called, and what it shall hold. */
export function NewSnapshotForm(
  props: FormProps<SnapshotWish>
): React.ReactElement {
  const { values, problems, busy, change } = props;
  const { groups } = values;
  const desk = useDesk();
  const { trans } = desk;
  const { admin } = readerOf(desk);
  return (
    <div className="jx-SnapshotForm">
      <Field
        label={trans.__('Name')}
        value={values.name}
        problem={problems['name']}
        onChange={name => change({ name })}
        input={{
          disabled: busy,
          autoFocus: true,
          autoComplete: 'off',
          placeholder: trans.__('before the course'),
          maxLength: 63
        }}
      />
      <Field
        label={trans.__('Description')}
        value={values.description}
        problem={problems['description']}
        hint={trans.__('Optional')}
        onChange={description => change({ description })}
        input={{ disabled: busy, autoComplete: 'off', maxLength: 2000 }}
      />
      <fieldset className="jx-Options" disabled={busy}>
        <legend>{trans.__('What it holds')}</legend>
        {GROUPS.map(group => (
          <Checkbox
            key={group}
            label={groupName(trans, group, admin)}
            checked={groups.includes(group)}
            disabled={busy}
            onChange={checked =>
              change({
                groups: checked
                  ? [...groups, group]
                  : groups.filter(each => each !== group)
              })
            }
          />
        ))}
        <Problem text={problems['parts']} />
      </fieldset>
    </div>
  );
}
