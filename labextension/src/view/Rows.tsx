import { addIcon, closeIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { useDesk } from './desk';
import { Problem } from './Field';
import { IconButton } from './IconButton';

/** A titled part of the form with rows that come and go. */
export function Rows<Row extends { readonly key: number }>(props: {
  title: string;
  add: string;
  hint: string;
  rows: readonly Row[];
  make: () => Row;
  problem: string | undefined;
  /** The problems of a row's parts. */
  problemsOf: (row: Row) => ReadonlyArray<string | undefined>;
  onChange: (rows: readonly Row[]) => void;
  children: (row: Row, change: (part: Partial<Row>) => void) => React.ReactNode;
}): React.ReactElement {
  const { title, rows, onChange } = props;
  const { trans } = useDesk();
  const group = React.useRef<HTMLFieldSetElement>(null);
  const [added, setAdded] = React.useState(0);
  React.useEffect(() => {
    if (added) {
      const last = group.current?.querySelector('.jx-FormRow:last-of-type');
      last?.querySelector('input')?.focus();
    }
  }, [added]);
  return (
    <fieldset className="jx-Rows" ref={group}>
      <legend>{title}</legend>
      {!rows.length && <div className="jx-Hint">{props.hint}</div>}
      {rows.map(row => (
        <div className="jx-FormRow" key={row.key}>
          <div className="jx-FormRow-cells">
            {props.children(row, part =>
              onChange(
                rows.map(other =>
                  other.key === row.key ? { ...other, ...part } : other
                )
              )
            )}
            <IconButton
              icon={closeIcon}
              label={trans.__('Remove')}
              onClick={() =>
                onChange(rows.filter(other => other.key !== row.key))
              }
            />
          </div>
          <Problem
            text={
              // Two parts of a row may have the same problem.
              [...new Set(props.problemsOf(row))]
                .filter(text => text !== undefined)
                .join(' ') || undefined
            }
          />
        </div>
      ))}
      <Problem text={props.problem} />
      <button
        type="button"
        className="jx-AddRow"
        onClick={() => {
          onChange([...rows, props.make()]);
          setAdded(added + 1);
        }}
      >
        <addIcon.react tag="span" className="jx-Icon" aria-hidden />
        {props.add}
      </button>
    </fieldset>
  );
}
