import * as React from 'react';

import { eyeIcon } from '../icons';
import { useDesk } from './desk';
import { IconButton } from './IconButton';

const SECRET = /pass|secret|token|key|credential|auth/i;

/** A container's variables; what sounds like a secret is shown on demand. */
export function Environment(props: {
  variables: Readonly<Record<string, string>>;
}): React.ReactElement | null {
  const { trans } = useDesk();
  const [shown, setShown] = React.useState<ReadonlySet<string>>(new Set());
  const entries = Object.entries(props.variables);
  if (!entries.length) {
    return null;
  }
  return (
    <section>
      <h2>{trans.__('Environment')}</h2>
      <table className="jx-Table">
        <tbody>
          {entries.map(([name, value]) => (
            <tr key={name}>
              <th scope="row">
                <code>{name}</code>
              </th>
              <td>
                {SECRET.test(name) && !shown.has(name) ? (
                  <span className="jx-Hidden">
                    ••••••••
                    <IconButton
                      icon={eyeIcon}
                      label={trans.__('Show %1', name)}
                      onClick={() => setShown(new Set(shown).add(name))}
                    />
                  </span>
                ) : (
                  <code>{value}</code>
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
