import * as React from 'react';

import { useDesk, useListed } from './desk';
import { ItemList } from './ItemList';
import { ServiceRow } from './ServiceRow';

/** What runs beside the server, and the server itself. */
export function ServiceList(): React.ReactElement {
  const { services, trans } = useDesk();
  const { items } = useListed(services);
  if (!items) {
    return <div className="jx-Loading">{trans.__('Loading…')}</div>;
  }
  const all = [...items.values()];
  return (
    <div className="jx-Section">
      <ItemList
        label={trans.__('Services')}
        of="service"
        items={all}
        keyOf={({ name }) => name}
      >
        {(service, current) => (
          <ServiceRow service={service} current={current} />
        )}
      </ItemList>
    </div>
  );
}
