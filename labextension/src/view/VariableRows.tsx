import * as React from 'react';

import {
  newVariable,
  Problems,
  readVariables,
  VariableRow
} from '../model/form';
import { useDesk } from './desk';
import { Cell } from './Field';
import { Rows } from './Rows';

/** The environment of a new container. */
export function VariableRows(props: {
  rows: readonly VariableRow[];
  problems: Problems;
  onChange: (rows: readonly VariableRow[]) => void;
}): React.ReactElement {
  const { rows, problems, onChange } = props;
  const { trans } = useDesk();
  return (
    <Rows
      title={trans.__('Environment')}
      add={trans.__('Add variable')}
      hint={trans.__(
        'Set variables; NAME=value lines can be pasted all at once.'
      )}
      rows={rows}
      make={newVariable}
      problem={problems.get('variables')}
      problemsOf={row => [problems.get(`variables#${row.key}.name`)]}
      onChange={onChange}
    >
      {(row, set) => (
        <>
          <Cell
            label={trans.__('Name of the variable')}
            value={row.name}
            problem={problems.get(`variables#${row.key}.name`)}
            onChange={name => set({ name })}
            input={{
              spellCheck: false,
              placeholder: 'NAME',
              onPaste: event => {
                const text = event.clipboardData.getData('text');
                const read = text.includes('=') ? readVariables(text) : null;
                if (read) {
                  event.preventDefault();
                  const kept = rows.filter(
                    other => other.key !== row.key || other.name
                  );
                  onChange([...kept, ...read]);
                }
              }
            }}
          />
          <span className="jx-Arrow" aria-hidden>
            =
          </span>
          <Cell
            className="jx-mod-wide"
            label={trans.__('Value of the variable')}
            value={row.value}
            onChange={value => set({ value })}
            input={{ spellCheck: false, placeholder: trans.__('value') }}
          />
        </>
      )}
    </Rows>
  );
}
