import * as React from 'react';

import type { FormProps } from '../widgets/formdialog';
import { Checkbox } from './Checkbox';
import { useDesk } from './desk';
import { NameField } from './NewDatabaseForm';

export interface CloneWish {
  readonly name: string;
  readonly schemaOnly: boolean;
}

/** What a copy is called, and how much of the original it gets. */
export function CloneDatabase(props: FormProps<CloneWish>): React.ReactElement {
  const { values, problems, busy, change } = props;
  const { trans } = useDesk();
  return (
    <div className="jx-DatabaseForm">
      <NameField
        label={trans.__('Name of the copy')}
        value={values.name}
        problem={problems['name']}
        disabled={busy}
        onChange={name => change({ name })}
      />
      <Checkbox
        label={trans.__('Its tables without their rows')}
        checked={values.schemaOnly}
        disabled={busy}
        onChange={schemaOnly => change({ schemaOnly })}
      />
    </div>
  );
}
