import * as React from 'react';

import { port, portAddress } from '../model/format';
import type { Ports as PortMap } from '../model/types';
import { useDesk } from './desk';

/** Published ports as links; those that are only exposed stand grey behind them. */
export function Ports(props: {
  ports: PortMap;
  /** They are on this machine, so that it is known where they lead. */
  near: boolean;
  /** Exposed ones too. */
  all?: boolean;
}): React.ReactElement | null {
  const { trans } = useDesk();
  const entries = Object.entries(props.ports)
    .filter(([, host]) => host !== null || props.all)
    .sort(([, a], [, b]) => (a ?? Infinity) - (b ?? Infinity));
  if (!entries.length) {
    return null;
  }
  return (
    <span className="jx-Ports">
      {entries.map(([inside, host]) =>
        host === null ? (
          <span
            key={inside}
            className="jx-Port"
            title={trans.__('Port %1 is not published', port(inside))}
          >
            {port(inside)}
          </span>
        ) : !props.near || inside.endsWith('/udp') || inside === '22/tcp' ? (
          <span key={inside} className="jx-Port">
            {`${host} → ${port(inside)}`}
          </span>
        ) : (
          <a
            key={inside}
            className="jx-Port"
            href={portAddress(host)}
            target="_blank"
            rel="noopener noreferrer"
            title={trans.__('Open %1 in a new tab', portAddress(host))}
          >
            {`${host} → ${port(inside)}`}
          </a>
        )
      )}
    </span>
  );
}
