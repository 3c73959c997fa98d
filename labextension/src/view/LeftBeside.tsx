import * as React from 'react';

import type { SideCluster } from '../model/backups';
import { useDesk } from './desk';
import { Cure } from './Notice';
import { WayIn } from './WayIn';

/** A restored cluster that was left beside: where it is, who gets in, and how it is deleted. */
export function LeftBeside(props: {
  side: SideCluster;
  /** The moment that it shows. */
  when: string;
}): React.ReactElement {
  const { side, when } = props;
  const { backups, trans } = useDesk();
  return (
    <div className="jx-DialogForm jx-DatabaseForm">
      <div>
        {trans.__(
          'The cluster of %1 listens at %2 of the server’s own machine, for its superuser alone.',
          when,
          `${side.host}:${side.port}`
        )}
      </div>
      <WayIn url={() => backups.sideUrl(side)} />
      <div>{trans.__('It takes up room until it is deleted:')}</div>
      <Cure text={`\`pig backup side delete ${side.id}\``} />
    </div>
  );
}
