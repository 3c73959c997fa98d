import * as React from 'react';

import { useDesk, useServices } from './desk';
import { List } from './List';
import { ServiceRow } from './ServiceRow';

/** What runs beside the server, and the server itself. */
export function ServiceList(): React.ReactElement {
  const { trans } = useDesk();
  const services = useServices();
  const [focused, setFocused] = React.useState<string | null>(null);
  if (!services) {
    return <div className="jx-Loading">{trans.__('Loading…')}</div>;
  }
  const all = [...services.values()];
  const reached = all.some(({ name }) => name === focused)
    ? focused
    : (all[0]?.name ?? null);
  return (
    <div className="jx-Section">
      <List
        label={trans.__('Services')}
        onFocusRow={row => setFocused(row.dataset['service'] ?? null)}
        onKey={() => undefined}
      >
        {all.map(service => (
          <ServiceRow
            key={service.name}
            service={service}
            current={service.name === reached}
          />
        ))}
      </List>
    </div>
  );
}
