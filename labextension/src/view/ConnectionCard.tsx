import * as React from 'react';

import {
  Connection,
  hasWaysIn,
  isLoopback,
  sshCommand
} from '../model/connection';
import { ApiError, wordsOf } from '../model/reply';
import type { ContainerDetail } from '../model/types';
import { CodeBlock } from './CodeBlock';
import { useDesk } from './desk';
import { OpenPages } from './OpenPages';
import { Secret } from './Secret';

/** How its owner gets into a container: by ssh, JupyterLab and TensorBoard; nothing where it has no such ports. */
export function ConnectionCard(props: {
  detail: ContainerDetail;
}): React.ReactElement | null {
  const { cid, ports, status } = props.detail;
  const { actions, trans } = useDesk();
  const enterable = hasWaysIn(ports);
  const running = status === 'running';
  const [way, failure] = useConnection(enterable ? cid : null);
  const heading = React.useId();
  if (!enterable || (!way && !failure)) {
    return null;
  }
  const command = way && sshCommand(way);
  const hint =
    status === 'paused'
      ? trans.__('It stands still now, and answers when it goes on.')
      : status === 'lost'
        ? trans.__('Its device does not answer now.')
        : !running
          ? trans.__('It does not run: start it to connect.')
          : command && isLoopback(way.ip)
            ? trans.__(
                'ssh listens on the server’s own machine only. From elsewhere, take that as the jump host.'
              )
            : null;
  return (
    <section className="jx-Card jx-Connection" aria-labelledby={heading}>
      <header className="jx-Card-head">
        <h2 id={heading}>{trans.__('Connect')}</h2>
        <OpenPages cid={cid} disabled={!running} />
      </header>
      {failure && (
        <div className="jx-Failure" role="alert">
          {failure}
        </div>
      )}
      {way && (
        <div className="jx-Connection-ways">
          {command && (
            <>
              <span className="jx-Connection-label">{trans.__('ssh')}</span>
              <CodeBlock
                code={command}
                label={trans.__('Copy the ssh command')}
              />
            </>
          )}
          {way.has_password && (
            <>
              <span className="jx-Connection-label">
                {trans.__('Password')}
              </span>
              <Secret
                label={trans.__('password')}
                read={async () =>
                  (await actions.api.connection(cid, true)).password ?? ''
                }
              />
            </>
          )}
        </div>
      )}
      {hint && <div className="jx-Hint">{hint}</div>}
    </section>
  );
}

/** The way in without the password; asked for once for each container. */
function useConnection(cid: number | null): [Connection | null, string | null] {
  const { actions, trans } = useDesk();
  const away = trans.__('The server does not answer.');
  const [way, setWay] = React.useState<Connection | null>(null);
  const [failure, setFailure] = React.useState<string | null>(null);
  React.useEffect(() => {
    if (cid === null) {
      return undefined;
    }
    let here = true;
    actions.api
      .connection(cid)
      .then(found => {
        if (here) {
          setWay(found);
          setFailure(null);
        }
      })
      .catch((reason: unknown) => {
        // Who may not enter is not told that there is a way.
        if (here && !(reason instanceof ApiError && reason.status === 403)) {
          setFailure(wordsOf(reason, away));
        }
      });
    return () => {
      here = false;
    };
  }, [actions, away, cid]);
  return [way, failure];
}
