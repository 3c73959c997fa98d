import type { LabIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import type { ListStore } from '../model/liststore';
import { LostBanner } from './Banner';
import { useCommand, useDesk, useListed } from './desk';
import { Notice } from './Notice';

/** What a section says where there is nothing to list, and the way to a first one. */
export interface Nothing {
  readonly title: string;
  readonly text: string;
  readonly accept: string;
  readonly command: string;
}

/** A section about a list: why it is refused, that it is on its way, that it is empty; or its content. */
export function ListFrame<Item, Key>(props: {
  store: ListStore<Item, Key>;
  icon: LabIcon;
  /** Null where there is something to list. */
  nothing: Nothing | null;
  children: React.ReactNode;
}): React.ReactElement {
  const { store, icon, nothing, children } = props;
  const { trans } = useDesk();
  const run = useCommand();
  const { items, refusal } = useListed(store);
  if (refusal) {
    return (
      <Notice icon={icon} title={refusal.what} text={refusal.cure}>
        <button
          type="button"
          className="jp-mod-styled jp-mod-reject jx-Button"
          onClick={() => store.retry()}
        >
          {trans.__('Try again')}
        </button>
      </Notice>
    );
  }
  if (!items) {
    return (
      <>
        <LostBanner />
        <div className="jx-Loading">{trans.__('Loading…')}</div>
      </>
    );
  }
  return (
    <div className="jx-Section">
      <LostBanner />
      {nothing && (
        <Notice icon={icon} title={nothing.title} text={nothing.text}>
          <button
            type="button"
            className="jp-mod-styled jp-mod-accept jx-Button"
            onClick={() => run(nothing.command)}
          >
            {nothing.accept}
          </button>
        </Notice>
      )}
      {children}
    </div>
  );
}
