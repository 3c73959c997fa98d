import * as React from 'react';

import { Part, Snapshot, thingOf } from '../model/snapshots';
import type { FormProps } from '../widgets/formdialog';
import { Checkbox } from './Checkbox';
import { readerOf, useDesk, useListed, useStore } from './desk';
import { Field, Problem } from './Field';
import { partName, partState, replacedWords } from './snapshotwords';

export interface RestoreSnapshotWish {
  readonly snapshot: Snapshot;
  /** Names of parts. */
  readonly chosen: readonly string[];
  /** To what is replaced. */
  readonly agreed: boolean;
  /** The word that replaces everybody's databases. */
  readonly typed: string;
}

/** Whether a restore is about more than what is the caller's own. */
export function takesAll({ snapshot, chosen }: RestoreSnapshotWish): boolean {
  return snapshot.parts.some(
    ({ kind, name }) => kind === 'cluster' && chosen.includes(name)
  );
}

/** The parts of a snapshot, what each replaces, and the agreement to that. */
export function RestoreSnapshot(
  props: FormProps<RestoreSnapshotWish>
): React.ReactElement {
  const { values, problems, busy, change } = props;
  const { snapshot, chosen, agreed, typed } = values;
  const desk = useDesk();
  const { trans, language } = desk;
  const databases = useListed(desk.databases).items;
  const containers = useStore(state => state.containers);
  const { username } = readerOf(desk);
  const isThere = (part: Part): boolean | null => {
    const thing = thingOf(part);
    return part.kind === 'database'
      ? (databases?.has(thing) ?? null)
      : containers &&
          [...containers.values()].some(
            ({ name, owner }) => name === thing && owner === username
          );
  };
  const files = snapshot.parts.some(
    ({ kind, name }) => kind === 'files' && chosen.includes(name)
  );
  const hint = (part: Part): string => {
    if (part.state !== 'kept') {
      return part.reason ?? partState(trans, part);
    }
    const there = isThere(part);
    return [
      replacedWords(trans, part, there, language),
      part.reason,
      ...part.not_in_it
    ]
      .filter(Boolean)
      .join(' ');
  };
  return (
    <div className="jx-SnapshotForm">
      <fieldset className="jx-Options" disabled={busy}>
        <legend>{trans.__('What goes back')}</legend>
        {snapshot.parts.map(part => (
          <Checkbox
            key={part.name}
            label={partName(trans, part)}
            hint={hint(part)}
            checked={chosen.includes(part.name)}
            disabled={busy || part.state !== 'kept'}
            onChange={checked =>
              change({
                chosen: checked
                  ? [...chosen, part.name]
                  : chosen.filter(name => name !== part.name)
              })
            }
          />
        ))}
        <Problem text={problems['parts']} />
      </fieldset>
      <div className="jx-Failure jx-mod-warn" role="note">
        {trans.__(
          'What is there is replaced. It becomes a snapshot of its own first, from which it can be taken back.'
        )}
        {files && (
          <>
            {' '}
            {trans.__(
              'Save and close your notebooks now, and restart kernels afterwards: the folders that they work in are replaced.'
            )}
          </>
        )}
      </div>
      {takesAll(values) ? (
        <Field
          label={trans.__(
            'Type %1 to replace everybody’s databases',
            trans.__('restore')
          )}
          value={typed}
          problem={problems['agreed']}
          onChange={text => change({ typed: text })}
          input={{
            disabled: busy,
            spellCheck: false,
            autoCapitalize: 'none',
            autoComplete: 'off'
          }}
        />
      ) : (
        <div>
          <Checkbox
            label={trans.__('Replace what is there')}
            checked={agreed}
            disabled={busy}
            onChange={checked => change({ agreed: checked })}
          />
          <Problem text={problems['agreed']} />
        </div>
      )}
    </div>
  );
}
