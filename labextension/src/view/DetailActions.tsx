import {
  deleteIcon,
  runIcon,
  saveIcon,
  stopIcon,
  terminalIcon
} from '@jupyterlab/ui-components';
import * as React from 'react';

import { logsIcon, restartIcon } from '../icons';
import { Container, isReached, isUp } from '../model/types';
import { CommandIDs } from '../tokens';
import { useCommand, useDesk, useStore } from './desk';
import { IconButton } from './IconButton';

/** All that can be done with a container, in one line. */
export function DetailActions(props: {
  container: Container;
}): React.ReactElement {
  const { cid } = props.container;
  const { trans } = useDesk();
  const run = useCommand();
  const busy =
    useStore(state => state.deeds.has(cid)) || !isReached(props.container);
  const up = isUp(props.container);
  return (
    <span className="jx-Row-actions">
      <IconButton
        icon={up ? stopIcon : runIcon}
        label={up ? trans.__('Stop') : trans.__('Start')}
        disabled={busy}
        onClick={() => run(up ? CommandIDs.stop : CommandIDs.start, { cid })}
      />
      <IconButton
        icon={restartIcon}
        label={trans.__('Restart')}
        disabled={busy || !up}
        onClick={() => run(CommandIDs.restart, { cid })}
      />
      <IconButton
        icon={logsIcon}
        label={trans.__('Logs')}
        disabled={!isReached(props.container)}
        onClick={() => run(CommandIDs.logs, { cid })}
      />
      <IconButton
        icon={terminalIcon}
        label={trans.__('Terminal')}
        disabled={props.container.status !== 'running'}
        onClick={() => run(CommandIDs.terminal, { cid })}
      />
      <IconButton
        icon={saveIcon}
        label={trans.__('Save as image')}
        disabled={busy}
        onClick={() => run(CommandIDs.saveImage, { cid })}
      />
      <IconButton
        icon={deleteIcon}
        label={trans.__('Delete')}
        disabled={busy}
        onClick={() => run(CommandIDs.remove, { cid })}
      />
    </span>
  );
}
