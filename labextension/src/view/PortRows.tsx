import { HTMLSelect } from '@jupyterlab/ui-components';
import * as React from 'react';

import { newPort, PortRow, Problems } from '../model/form';
import { useDesk } from './desk';
import { Cell } from './Field';
import { Rows } from './Rows';

/** The ports that a new container publishes. */
export function PortRows(props: {
  rows: readonly PortRow[];
  problems: Problems;
  onChange: (rows: readonly PortRow[]) => void;
}): React.ReactElement {
  const { rows, problems, onChange } = props;
  const { trans } = useDesk();
  return (
    <Rows<PortRow>
      title={trans.__('Ports')}
      add={trans.__('Add port')}
      hint={trans.__('Open a port of the container on this machine.')}
      rows={rows}
      make={newPort}
      problem={problems.get('ports')}
      problemsOf={row => [
        problems.get(`ports#${row.key}.host`),
        problems.get(`ports#${row.key}.container`)
      ]}
      onChange={onChange}
    >
      {(row, set) => (
        <>
          <Cell
            label={trans.__('Port of this machine')}
            value={row.host}
            problem={problems.get(`ports#${row.key}.host`)}
            onChange={host => set({ host })}
            input={{
              inputMode: 'numeric',
              placeholder: trans.__('any free port')
            }}
          />
          <span className="jx-Arrow" aria-hidden>
            →
          </span>
          <Cell
            label={trans.__('Port of the container')}
            value={row.container}
            problem={problems.get(`ports#${row.key}.container`)}
            onChange={container => set({ container })}
            input={{ inputMode: 'numeric', placeholder: '80' }}
          />
          <HTMLSelect
            className="jx-Select"
            aria-label={trans.__('Protocol')}
            value={row.protocol}
            onChange={event =>
              set({ protocol: event.target.value as PortRow['protocol'] })
            }
          >
            <option value="tcp">TCP</option>
            <option value="udp">UDP</option>
          </HTMLSelect>
        </>
      )}
    </Rows>
  );
}
