import { HTMLSelect } from '@jupyterlab/ui-components';
import * as React from 'react';

import { Problem } from './Field';

/** A labelled choice of one, with its hint or its problem below. */
export function Choice(props: {
  label: string;
  value: string;
  options: ReadonlyArray<readonly [value: string, label: string]>;
  problem?: string | undefined;
  hint?: string | undefined;
  disabled?: boolean;
  onChange: (value: string) => void;
}): React.ReactElement {
  const { label, value, options, problem, hint, onChange } = props;
  const id = React.useId();
  return (
    <div className="jx-Field">
      <label htmlFor={id}>{label}</label>
      <HTMLSelect
        id={id}
        value={value}
        disabled={props.disabled}
        onChange={event => onChange(event.target.value)}
      >
        {options.map(([option, words]) => (
          <option key={option} value={option}>
            {words}
          </option>
        ))}
      </HTMLSelect>
      {problem !== undefined ? (
        <Problem text={problem} />
      ) : (
        hint && <div className="jx-Hint">{hint}</div>
      )}
    </div>
  );
}
