import * as React from 'react';

import type { Database } from '../model/databases';
import { bytes } from '../model/format';
import type { FormProps } from '../widgets/formdialog';
import { Checkbox } from './Checkbox';
import { useDesk } from './desk';
import { Field } from './Field';

export interface RemoveDatabaseWish {
  readonly database: Database;
  /** Its name, once more. */
  readonly typed: string;
  /** Also where somebody is in it. */
  readonly force: boolean;
}

/** What is lost with a database, its name to be typed, and who is still in it. */
export function RemoveDatabase(
  props: FormProps<RemoveDatabaseWish>
): React.ReactElement {
  const { values, problems, details, busy, change } = props;
  const { database, typed, force } = values;
  const { trans } = useDesk();
  const refusal = problems[''];
  return (
    <div className="jx-Remove jx-RemoveDatabase">
      <p>
        {database.size_bytes === null
          ? trans.__('Everything in it is deleted.')
          : trans.__(
              'Everything in it is deleted, %1.',
              bytes(database.size_bytes)
            )}{' '}
        {trans.__('Only a backup that has it brings it back.')}
      </p>
      <Field
        label={trans.__('Type %1 to delete it', database.name)}
        value={typed}
        problem={problems['typed']}
        onChange={text => change({ typed: text })}
        input={{
          disabled: busy,
          autoFocus: true,
          spellCheck: false,
          autoCapitalize: 'none',
          autoComplete: 'off'
        }}
      />
      {refusal && (
        <div className="jx-Failure" role="alert">
          {refusal}
        </div>
      )}
      {(details['sessions'] === true || force) && (
        <Checkbox
          label={trans.__('End the sessions that are in it')}
          checked={force}
          disabled={busy}
          onChange={checked => change({ force: checked })}
        />
      )}
    </div>
  );
}
