import {
  type LabIcon,
  launchIcon,
  runIcon,
  stopIcon
} from '@jupyterlab/ui-components';
import * as React from 'react';

import { logsIcon, restartIcon } from '../icons';
import { bytes } from '../model/format';
import { offered, type Service, type ServiceAction } from '../model/services';
import { CommandIDs } from '../tokens';
import { useCommand, useDesk } from './desk';
import { IconButton } from './IconButton';
import { Cure } from './Notice';
import { serviceTone, serviceWord } from './servicestatus';

const ICONS: Readonly<Record<ServiceAction, LabIcon>> = {
  start: runIcon,
  stop: stopIcon,
  restart: restartIcon
};

const COMMANDS: Readonly<Record<ServiceAction, string>> = {
  start: CommandIDs.startService,
  stop: CommandIDs.stopService,
  restart: CommandIDs.restartService
};

/** One service: how it is, and what it can do. */
export const ServiceRow = React.memo(function ServiceRow(props: {
  service: Service;
  current: boolean;
}): React.ReactElement {
  const { service, current } = props;
  const { name, status, port, memory_bytes, opens, problem } = service;
  const { trans } = useDesk();
  const run = useCommand();
  const tone = serviceTone(status);
  const word = serviceWord(trans, status);
  const labels: Readonly<Record<ServiceAction, string>> = {
    start: trans.__('Start %1', name),
    stop: trans.__('Stop %1', name),
    restart: trans.__('Restart %1', name)
  };
  const facts = [
    port === null ? '' : trans.__('port %1', port),
    memory_bytes === null ? '' : bytes(memory_bytes)
  ];
  return (
    <li
      className="jx-Row jx-Service"
      data-service={name}
      tabIndex={current ? 0 : -1}
      aria-label={`${name}, ${word}`}
    >
      <div className="jx-Row-head">
        <span className={`jx-Dot jx-mod-${tone}`} aria-hidden />
        <span className="jx-Title jx-mod-strong" title={name}>
          {name}
        </span>
        <span className="jx-Row-actions">
          {opens && (
            <IconButton
              icon={launchIcon}
              label={trans.__('Open %1', name)}
              onClick={() => run(CommandIDs.openService, { service: name })}
            />
          )}
          {offered(service).map(action => (
            <IconButton
              key={action}
              icon={ICONS[action]}
              label={labels[action]}
              onClick={() => run(COMMANDS[action], { service: name })}
            />
          ))}
          <IconButton
            icon={logsIcon}
            label={trans.__('Logs of %1', name)}
            onClick={() => run(CommandIDs.serviceLogs, { service: name })}
          />
        </span>
      </div>
      <div className="jx-Row-line">
        <span className={`jx-Status jx-mod-${tone}`}>{word}</span>
        <span className="jx-Row-minor">
          {facts.filter(Boolean).join(' · ')}
        </span>
      </div>
      {problem && (
        <div className="jx-Device-cure" data-tone={tone}>
          <Cure text={problem} />
        </div>
      )}
    </li>
  );
});
