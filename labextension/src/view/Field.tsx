import * as React from 'react';

/** A problem, beside what it is about. */
export function Problem(props: {
  id?: string;
  text: string | undefined;
}): React.ReactElement | null {
  return props.text ? (
    <div className="jx-Problem" id={props.id} role="alert">
      {props.text}
    </div>
  ) : null;
}

export interface FieldProps {
  readonly label: string;
  readonly value: string;
  readonly problem?: string | undefined;
  readonly hint?: string | undefined;
  readonly onChange: (value: string) => void;
  readonly input?: React.InputHTMLAttributes<HTMLInputElement> & {
    /** Where typing begins when the widget is opened. */
    readonly 'data-begin'?: boolean;
  };
}

/** A labelled text field, with its hint or its problem below. */
export function Field(props: FieldProps): React.ReactElement {
  const { label, value, problem, hint, onChange, input } = props;
  const id = React.useId();
  const below = problem ?? hint;
  return (
    <div className="jx-Field">
      <label htmlFor={id}>{label}</label>
      <input
        {...input}
        id={id}
        className="jp-mod-styled jx-Input"
        value={value}
        aria-invalid={problem !== undefined}
        aria-describedby={below ? `${id}-below` : undefined}
        onChange={event => onChange(event.target.value)}
      />
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

/** A text field in a row, named by its column. */
export function Cell(
  props: Omit<FieldProps, 'hint'> & { className?: string }
): React.ReactElement {
  const { label, value, problem, onChange, input, className } = props;
  return (
    <input
      {...input}
      className={`jp-mod-styled jx-Input ${className ?? ''}`}
      aria-label={label}
      title={label}
      value={value}
      aria-invalid={problem !== undefined}
      onChange={event => onChange(event.target.value)}
    />
  );
}
