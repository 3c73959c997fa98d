import {
  ellipsesIcon,
  runIcon,
  stopIcon,
  terminalIcon
} from '@jupyterlab/ui-components';
import * as React from 'react';

import { logsIcon } from '../icons';
import { LOCAL_DEVICE } from '../model/devices';
import { splitName } from '../model/reference';
import { Container, isReached, isUp } from '../model/types';
import { CommandIDs } from '../tokens';
import { useCommand, useDesk, useStore } from './desk';
import { IconButton } from './IconButton';
import { IdleNotice } from './IdleNotice';
import { LostNotice } from './LostNotice';
import { Ports } from './Ports';
import { statusWord, toneOf } from './status';
import { Use } from './Use';

/** One container: its name and what can be done first, then its state, ports and use. */
export const ContainerRow = React.memo(function ContainerRow(props: {
  container: Container;
  /** The row that the tab key reaches. */
  current: boolean;
}): React.ReactElement {
  const { container, current } = props;
  const { cid, name } = container;
  const { trans, openMenu } = useDesk();
  const run = useCommand();
  const deed = useStore(state => state.deeds.get(cid));
  const username = useStore(state => state.username);
  const up = isUp(container);
  const word = statusWord(trans, container.status, deed);
  const foreign = username !== '' && container.owner !== username;
  return (
    <li
      className="jx-Row jx-Container"
      data-cid={cid}
      data-up={up}
      tabIndex={current ? 0 : -1}
      aria-label={`${name}, ${word}`}
    >
      <div className="jx-Row-head">
        <span
          className={`jx-Dot jx-mod-${toneOf(container.status, deed)}`}
          aria-hidden
        />
        <button
          type="button"
          className="jx-Name"
          title={trans.__('Show details of %1', name)}
          onClick={() => run(CommandIDs.details, { cid })}
        >
          {name}
        </button>
        <span className="jx-Row-actions">
          {isReached(container) && (
            <>
              {up ? (
                <IconButton
                  icon={stopIcon}
                  label={trans.__('Stop %1', name)}
                  disabled={deed !== undefined}
                  onClick={() => run(CommandIDs.stop, { cid })}
                />
              ) : (
                <IconButton
                  icon={runIcon}
                  label={trans.__('Start %1', name)}
                  disabled={deed !== undefined}
                  onClick={() => run(CommandIDs.start, { cid })}
                />
              )}
              <IconButton
                icon={logsIcon}
                label={trans.__('Logs of %1', name)}
                onClick={() => run(CommandIDs.logs, { cid })}
              />
              <IconButton
                icon={terminalIcon}
                label={trans.__('Terminal in %1', name)}
                disabled={container.status !== 'running'}
                onClick={() => run(CommandIDs.terminal, { cid })}
              />
            </>
          )}
          <IconButton
            icon={ellipsesIcon}
            label={trans.__('More for %1', name)}
            hasMenu
            onClick={openMenu}
          />
        </span>
      </div>
      <div className="jx-Row-line" title={`${word} · ${container.image}`}>
        <span className={`jx-Status jx-mod-${toneOf(container.status, deed)}`}>
          {word}
        </span>
        <span className="jx-Row-minor">{splitName(container.image).title}</span>
        {foreign && (
          <span className="jx-Chip" title={trans.__('Owner')}>
            {container.owner}
          </span>
        )}
      </div>
      <IdleNotice container={container} />
      <LostNotice container={container} />
      {up && (
        <Ports
          ports={container.ports}
          near={container.device === LOCAL_DEVICE}
        />
      )}
      {up && <Use cid={cid} />}
    </li>
  );
});
