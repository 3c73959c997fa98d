import * as React from 'react';

import { useDesk } from './desk';

export type ViewName = 'compute' | 'data' | 'account' | 'admin';

/** The panel's views, one of which is shown; the arrow keys go from one to the next. */
export function ViewSwitch(props: {
  views: readonly ViewName[];
  shown: ViewName;
  onChoose: (view: ViewName) => void;
}): React.ReactElement {
  const { views, shown, onChoose } = props;
  const { trans } = useDesk();
  const tabs = React.useRef<HTMLDivElement>(null);
  const names: Record<ViewName, string> = {
    compute: trans.__('Compute'),
    data: trans.__('Data'),
    account: trans.__('Account'),
    admin: trans.__('Admin')
  };
  const onKeyDown = (event: React.KeyboardEvent) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step !== undefined) {
      event.preventDefault();
      const at = (views.indexOf(shown) + step + views.length) % views.length;
      const view = views[at];
      if (view) {
        onChoose(view);
        tabs.current
          ?.querySelector<HTMLElement>(`[data-view="${view}"]`)
          ?.focus();
      }
    }
  };
  return (
    <div
      className="jx-Switch"
      role="tablist"
      aria-label={trans.__('Views')}
      ref={tabs}
      onKeyDown={onKeyDown}
    >
      {views.map(view => (
        <button
          key={view}
          type="button"
          role="tab"
          className="jx-Switch-tab"
          data-view={view}
          aria-selected={view === shown}
          tabIndex={view === shown ? 0 : -1}
          onClick={() => onChoose(view)}
        >
          {names[view]}
        </button>
      ))}
    </div>
  );
}
