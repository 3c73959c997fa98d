import { HTMLSelect } from '@jupyterlab/ui-components';
import * as React from 'react';

import type { Leaving, User } from '../model/people';
import type { FormProps } from '../widgets/formdialog';
import { useDesk } from './desk';
import { Problem } from './Field';

export interface LeavingWish extends Leaving {
  readonly user: User;
  /** Names of those who could get their things. */
  readonly heirs: readonly string[];
}

/** What becomes of a user's things, once the server has said that there are some. */
export function RemoveUser(props: FormProps<LeavingWish>): React.ReactElement {
  const { values, problems, details, busy, change } = props;
  const { user, heirs, things, to } = values;
  const { trans } = useDesk();
  const group = React.useId();
  const owns = Array.isArray(details['owns'])
    ? (details['owns'] as readonly string[])
    : [];
  const option = (value: Leaving['things'], words: string) => (
    <label className="jx-Option">
      <input
        type="radio"
        name={group}
        value={value}
        checked={things === value}
        disabled={busy}
        onChange={() => change({ things: value })}
      />
      <span>{words}</span>
    </label>
  );
  return (
    <>
      <div>
        {trans.__(
          'Their API keys and logins end at once. This can’t be undone.'
        )}
      </div>
      {owns.length > 0 ? (
        <div className="jx-Failure" role="alert">
          {trans.__('%1 still owns:', user.username)}
          <ul className="jx-Owned">
            {owns.map((name, index) => (
              <li key={`${index}-${name}`}>{name}</li>
            ))}
          </ul>
        </div>
      ) : (
        <Problem text={problems['']} />
      )}
      <fieldset className="jx-Options">
        <legend>{trans.__('Their containers, images and other things')}</legend>
        {option('refuse', trans.__('Only delete the user if nothing is left'))}
        {heirs.length > 0 && (
          <div className="jx-FormRow-cells">
            {option('transfer', trans.__('Give them to'))}
            <HTMLSelect
              aria-label={trans.__('Who gets them')}
              value={to}
              disabled={busy}
              onChange={event =>
                change({ things: 'transfer', to: event.target.value })
              }
            >
              {heirs.map(name => (
                <option key={name}>{name}</option>
              ))}
            </HTMLSelect>
          </div>
        )}
        {option('purge', trans.__('Delete them too'))}
      </fieldset>
    </>
  );
}
