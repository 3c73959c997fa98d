import * as React from 'react';

import { namesIn } from '../model/sharing';
import type { FormProps } from '../widgets/formdialog';
import { useDesk } from './desk';
import { Field } from './Field';

/** Who is to use an image: those who do already, and those whose names are written. */
export interface ShareWish {
  readonly users: readonly string[];
  readonly written: string;
}

/** The users whom an image is shared with, each to be taken away, and a field for more. */
export function ShareForm(props: FormProps<ShareWish>): React.ReactElement {
  const { values, problems, busy, change } = props;
  const { trans } = useDesk();
  const { users, written } = values;
  return (
    <div className="jx-Share">
      {users.length > 0 && (
        <ul className="jx-Share-users" aria-label={trans.__('Shared with')}>
          {users.map(user => (
            <li key={user}>
              <span className="jx-Title" title={user}>
                {user}
              </span>
              <button
                type="button"
                className="jp-mod-styled jp-mod-reject jx-Button"
                disabled={busy}
                aria-label={trans.__('Take it back from %1', user)}
                onClick={() =>
                  change({ users: users.filter(other => other !== user) })
                }
              >
                {trans.__('Take back')}
              </button>
            </li>
          ))}
        </ul>
      )}
      <Field
        label={trans.__('User names')}
        value={written}
        problem={problems['username']}
        hint={
          namesIn(written).length > 1
            ? trans.__('%1 users', namesIn(written).length)
            : trans.__('Several with commas between them.')
        }
        onChange={text => change({ written: text })}
        input={{ spellCheck: false, disabled: busy, autoFocus: true }}
      />
      <div className="jx-Hint">
        {trans.__(
          'They see the image, run it and read every file in it; they can’t delete or share it. What they started of it goes on when it is taken back.'
        )}
      </div>
    </div>
  );
}
