import { copyIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { copyText } from '../clipboard';
import { eyeIcon } from '../icons';
import { newPassword } from '../model/scopes';
import { useDesk } from './desk';
import { Problem } from './Field';
import { IconButton } from './IconButton';

/** A password to be: typed, or made up and copied. */
export function PasswordField(props: {
  value: string;
  problem: string | undefined;
  hint?: string;
  disabled: boolean;
  autoFocus?: boolean;
  onChange: (value: string) => void;
}): React.ReactElement {
  const { value, problem, hint, disabled, autoFocus, onChange } = props;
  const { trans } = useDesk();
  const [shown, setShown] = React.useState(false);
  const id = React.useId();
  return (
    <div className="jx-Field">
      <label htmlFor={id}>{trans.__('Password')}</label>
      <div className="jx-FormRow-cells">
        <input
          id={id}
          className="jp-mod-styled jx-Input"
          type={shown ? 'text' : 'password'}
          autoComplete="new-password"
          spellCheck={false}
          autoFocus={autoFocus}
          disabled={disabled}
          value={value}
          aria-invalid={problem !== undefined}
          aria-describedby={(problem ?? hint) ? `${id}-below` : undefined}
          onChange={event => onChange(event.target.value)}
        />
        <IconButton
          icon={eyeIcon}
          label={trans.__('Show the password')}
          pressed={shown}
          onClick={() => setShown(!shown)}
        />
        <IconButton
          icon={copyIcon}
          label={trans.__('Copy the password')}
          disabled={!value}
          onClick={() => copyText(value)}
        />
        <button
          type="button"
          className="jx-TextButton"
          disabled={disabled}
          onClick={() => {
            onChange(newPassword());
            setShown(true);
          }}
        >
          {trans.__('Make one up')}
        </button>
      </div>
      {problem !== undefined ? (
        <Problem id={`${id}-below`} text={problem} />
      ) : (
        hint && (
          <div className="jx-Hint" id={`${id}-below`}>
            {hint}
          </div>
        )
      )}
    </div>
  );
}
