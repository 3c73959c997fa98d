import * as React from 'react';

import { List } from './List';

/** A list of things, one of whose rows the Tab key reaches: that which had the focus last. */
export function ItemList<Item>(props: {
  label: string;
  /** What they are, as their rows' `data-` attribute that holds the key is called. */
  of: string;
  items: readonly Item[];
  keyOf: (item: Item) => string | number;
  /** Rows before theirs, of work under way. */
  above?: readonly React.ReactElement[];
  onDelete?: (item: Item) => void;
  children: (item: Item, current: boolean) => React.ReactElement;
}): React.ReactElement {
  const { label, of, items, above, onDelete, children } = props;
  const [focused, setFocused] = React.useState<string | null>(null);
  const keyOf = (item: Item) => String(props.keyOf(item));
  const find = (key: string | null | undefined) =>
    items.find(item => keyOf(item) === key);
  const reached = find(focused) ?? items[0];
  return (
    <List
      label={label}
      onFocusRow={row => setFocused(row.dataset[of] ?? null)}
      onKey={(key, row) => {
        const item = find(row.dataset[of]);
        if (key === 'Delete' && item) {
          onDelete?.(item);
        }
      }}
    >
      {above}
      {items.map(item => (
        <React.Fragment key={`${of}:${keyOf(item)}`}>
          {children(item, item === reached)}
        </React.Fragment>
      ))}
    </List>
  );
}
