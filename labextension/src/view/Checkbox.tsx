import * as React from 'react';

/** Something to be agreed to, or not, in a dialog. */
export function Checkbox(props: {
  label: string;
  hint?: string;
  checked: boolean;
  disabled?: boolean;
  onChange: (checked: boolean) => void;
}): React.ReactElement {
  const { label, hint, checked, disabled, onChange } = props;
  const id = React.useId();
  return (
    <>
      <label className="jx-Option">
        <input
          type="checkbox"
          checked={checked}
          disabled={disabled}
          aria-describedby={hint ? id : undefined}
          onChange={event => onChange(event.target.checked)}
        />
        <span>{label}</span>
      </label>
      {hint && (
        <div className="jx-Hint" id={id}>
          {hint}
        </div>
      )}
    </>
  );
}
