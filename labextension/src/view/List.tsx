import * as React from 'react';

import { useGrowing } from './More';

/**
 * A list whose rows the arrow keys walk through.
 *
 * Enter opens the focused row (its first button), the menu key its context menu.
 */
export function List(props: {
  label: string;
  /** A row, or something in it, has the focus now. */
  onFocusRow?: (row: HTMLElement) => void;
  onKey?: (key: string, row: HTMLElement) => void;
  children: React.ReactNode;
}): React.ReactElement {
  const { label, onFocusRow, onKey, children } = props;
  const [rows, more] = useGrowing(React.Children.toArray(children));
  const list = React.useRef<HTMLUListElement>(null);
  const onKeyDown = (event: React.KeyboardEvent) => {
    const row = event.target as HTMLElement;
    if (!row.matches('.jx-Row')) {
      return;
    }
    const all = [
      ...(list.current?.querySelectorAll<HTMLElement>(':scope > .jx-Row') ?? [])
    ];
    const at = all.indexOf(row);
    const steps: Record<string, number> = {
      ArrowDown: at + 1,
      ArrowUp: at - 1,
      Home: 0,
      End: all.length - 1
    };
    const to = steps[event.key];
    if (to !== undefined) {
      event.preventDefault();
      all[Math.max(0, Math.min(all.length - 1, to))]?.focus();
    } else if (event.key === 'Enter') {
      event.preventDefault();
      row.querySelector('button')?.click();
    } else {
      onKey?.(event.key, row);
    }
  };
  return (
    <ul
      className="jx-List"
      ref={list}
      aria-label={label}
      onKeyDown={onKeyDown}
      onFocus={event => {
        const row = (event.target as HTMLElement).closest<HTMLElement>(
          '.jx-Row'
        );
        if (row) {
          onFocusRow?.(row);
        }
      }}
    >
      {rows}
      {more}
    </ul>
  );
}
