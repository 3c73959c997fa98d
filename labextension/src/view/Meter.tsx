import * as React from 'react';

/** How much of something is used, from 0 to 1; null where nobody knows. */
export function Meter(props: {
  label: string;
  value: number | null;
  text: string;
}): React.ReactElement {
  const { label, value, text } = props;
  const part = value === null ? 0 : Math.min(1, Math.max(0, value));
  return (
    <>
      <span className="jx-Meter-label">{label}</span>
      <span
        className="jx-Meter"
        role="meter"
        aria-label={label}
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={value === null ? undefined : Math.round(part * 100)}
        aria-valuetext={text}
      >
        <span
          className="jx-Meter-bar"
          data-high={part > 0.9}
          style={{ width: `${part * 100}%` }}
        />
      </span>
      <span className="jx-Meter-value">{text}</span>
    </>
  );
}
