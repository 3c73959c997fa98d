import * as React from 'react';

import { age } from '../model/format';
import { useDesk, useStore } from './desk';
import { Cure } from './Notice';

const MINUTE = 60_000;

/** One line above the lists when what they show may be old. */
export function Banner(): React.ReactElement | null {
  const { trans, language } = useDesk();
  const lost = useLost();
  const engine = useStore(state => state.engine);
  const staleSince = useStore(state => state.staleSince);
  if (lost) {
    return <Lost />;
  }
  if (engine?.available === false || staleSince) {
    const old = staleSince ? Date.now() - Date.parse(staleSince) : 0;
    return (
      <div className="jx-Banner" role="status">
        <div>{engine?.what || trans.__('The engine does not answer.')}</div>
        {engine?.cure && <Cure text={engine.cure} />}
        {staleSince && old > MINUTE && (
          <div className="jx-Hint">
            {trans.__(
              'Shown as it was %1.',
              age(staleSince, language, Date.now())
            )}
          </div>
        )}
      </div>
    );
  }
  return null;
}

/** One line above a list while nothing new reaches it. */
export function LostBanner(): React.ReactElement | null {
  return useLost() ? <Lost /> : null;
}

function Lost(): React.ReactElement {
  const { trans } = useDesk();
  return (
    <div className="jx-Banner" role="status">
      {trans.__('The server does not answer. Connecting again…')}
    </div>
  );
}

/** Whether the connection has been lost for a while: most come back before anybody notices. */
function useLost(): boolean {
  const lost = useStore(state => state.connection === 'lost');
  const [noticed, setNoticed] = React.useState(false);
  React.useEffect(() => {
    if (!lost) {
      setNoticed(false);
      return undefined;
    }
    const timer = setTimeout(() => setNoticed(true), 2000);
    return () => clearTimeout(timer);
  }, [lost]);
  return lost && noticed;
}
