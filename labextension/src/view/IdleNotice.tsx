import * as React from 'react';

import { clockTime } from '../model/format';
import { Container, isUp } from '../model/types';
import { CommandIDs } from '../tokens';
import { useCommand, useDesk } from './desk';

/** That a container is soon stopped, and how to keep it; or that it was. */
export function IdleNotice(props: {
  container: Container;
}): React.ReactElement | null {
  const { cid, name, idle } = props.container;
  const { trans, language } = useDesk();
  const run = useCommand();
  if (!idle) {
    return null;
  }
  const say = (moment: string) => clockTime(moment, language, Date.now());
  if (!isUp(props.container)) {
    return idle.stopped_at ? (
      <div className="jx-Row-line jx-Row-minor">
        {idle.reason === 'lifetime'
          ? trans.__('Stopped at %1: its time was over', say(idle.stopped_at))
          : trans.__('Stopped at %1: nobody used it', say(idle.stopped_at))}
      </div>
    ) : null;
  }
  if (!idle.warned_at || !idle.stops_at) {
    return null;
  }
  const isIdle = idle.reason === 'idle';
  return (
    <div className="jx-Row-line jx-Idle" role="status">
      <span className="jx-Status jx-mod-bad">
        {isIdle
          ? trans.__('Idle, stops at %1', say(idle.stops_at))
          : trans.__('Its time is over, stops at %1', say(idle.stops_at))}
      </span>
      {isIdle && (
        <button
          type="button"
          className="jx-TextButton"
          title={trans.__('Keep %1 running', name)}
          onClick={() => run(CommandIDs.keep, { cid })}
        >
          {trans.__('Keep')}
        </button>
      )}
    </div>
  );
}
