import * as React from 'react';

import type { Part } from '../model/snapshots';
import { useDesk } from './desk';
import { partName, partState } from './snapshotwords';

/** More than these are told by their number alone. */
const MOST = 6;

/** The parts of a snapshot as small labels: how each is, and why in its tooltip. */
export function PartChips(props: {
  parts: readonly Part[];
}): React.ReactElement {
  const { trans } = useDesk();
  const { parts } = props;
  // What is not as it should be must not be among the rest.
  const ordered = [...parts].sort(
    (a, b) =>
      Number(partState(trans, b) !== '') - Number(partState(trans, a) !== '')
  );
  const shown = parts.length > MOST ? ordered.slice(0, MOST) : parts;
  const rest = parts.length > MOST ? ordered.slice(MOST) : [];
  return (
    <span className="jx-PartChips">
      {shown.map(part => {
        const state = partState(trans, part);
        const name = partName(trans, part);
        return (
          <span
            key={part.name}
            className="jx-Chip jx-Part"
            data-state={part.state}
            title={[name, part.reason, ...part.not_in_it]
              .filter(Boolean)
              .join('\n')}
          >
            <span className="jx-Part-name">{name}</span>
            {state && <span className="jx-Part-state">{` · ${state}`}</span>}
          </span>
        );
      })}
      {rest.length > 0 && (
        <span
          className="jx-Chip"
          title={rest.map(part => partName(trans, part)).join('\n')}
        >
          {trans.__('%1 more', rest.length)}
        </span>
      )}
    </span>
  );
}
