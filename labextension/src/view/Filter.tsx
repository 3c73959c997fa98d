import { InputGroup, searchIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

/** A field that narrows a list down. */
export function Filter(props: {
  label: string;
  query: string;
  onChange: (query: string) => void;
}): React.ReactElement {
  return (
    <div className="jx-Filter">
      <InputGroup
        type="search"
        placeholder={props.label}
        aria-label={props.label}
        rightIcon={searchIcon}
        value={props.query}
        onChange={event => props.onChange(event.target.value)}
      />
    </div>
  );
}
