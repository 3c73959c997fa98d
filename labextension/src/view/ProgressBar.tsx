import * as React from 'react';

/** How far something is, from 0 to 1; null where nobody knows. */
export function ProgressBar(props: {
  value: number | null;
  label: string;
  done?: boolean;
}): React.ReactElement {
  const { value, label, done } = props;
  const part = value === null ? null : Math.min(1, Math.max(0, value));
  return (
    <div
      className="jx-Progress"
      role="progressbar"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={part === null ? undefined : Math.round(part * 100)}
      data-unknown={part === null}
      data-done={done}
    >
      <div
        className="jx-Progress-bar"
        style={part === null ? undefined : { width: `${part * 100}%` }}
      />
    </div>
  );
}
