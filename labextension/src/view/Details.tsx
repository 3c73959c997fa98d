import * as React from 'react';

import { computeIcon } from '../icons';
import { LOCAL_DEVICE } from '../model/devices';
import { bytes, moment } from '../model/format';
import type { Container, ContainerDetail } from '../model/types';
import { isUp } from '../model/types';
import { wordsOf } from '../model/reply';
import { ConnectionCard } from './ConnectionCard';
import { DetailActions } from './DetailActions';
import { useDesk, useStore } from './desk';
import { Environment } from './Environment';
import { GrantedGpus } from './GrantedGpus';
import { LostNotice } from './LostNotice';
import { Notice } from './Notice';
import { Ports } from './Ports';
import { statusWord, toneOf } from './status';
import { UseCharts } from './UseCharts';

/** Everything about one container. */
export function Details(props: { cid: number }): React.ReactElement {
  const { cid } = props;
  const { trans, language } = useDesk();
  const container = useStore(state => state.containers?.get(cid));
  const loaded = useStore(state => state.containers !== null);
  const deed = useStore(state => state.deeds.get(cid));
  const [detail, failure] = useDetail(container);
  if (!container) {
    return loaded ? (
      <Notice
        icon={computeIcon}
        title={trans.__('This container is gone')}
        text={trans.__('It was deleted.')}
      />
    ) : (
      <div className="jx-Loading">{trans.__('Loading…')}</div>
    );
  }
  const tone = toneOf(container.status, deed);
  return (
    <div className="jx-Details">
      <header className="jx-Details-head">
        <span className={`jx-Dot jx-mod-${tone}`} aria-hidden />
        <h1>{container.name}</h1>
        <span className={`jx-Status jx-mod-${tone}`}>
          {statusWord(trans, container.status, deed)}
        </span>
        <DetailActions container={container} />
      </header>
      <LostNotice container={container} />
      {failure && (
        <div className="jx-Failure" role="alert">
          {failure}
        </div>
      )}
      {detail && (
        <ConnectionCard
          detail={{ ...detail, ...container, ports: detail.ports }}
        />
      )}
      {isUp(container) && <UseCharts cid={cid} />}
      <dl className="jx-Facts">
        <Fact label={trans.__('Image')}>{container.image}</Fact>
        <Fact label={trans.__('Ports')}>
          <Ports
            ports={container.ports}
            near={container.device === LOCAL_DEVICE}
            all
          />
        </Fact>
        {container.gpus.length > 0 && (
          <Fact label={trans.__('GPUs')}>
            <GrantedGpus gids={container.gpus} />
          </Fact>
        )}
        <Fact label={trans.__('Owner')}>{container.owner}</Fact>
        <Fact label={trans.__('Created')}>
          {moment(container.created_at, language)}
        </Fact>
        {detail && <State detail={detail} />}
        {detail && <Limits detail={detail} />}
        {detail && (
          <Fact label={trans.__('Command')}>
            <code>
              {[
                ...(detail.config.entrypoint ?? []),
                ...(detail.config.command ?? [])
              ].join(' ')}
            </code>
          </Fact>
        )}
        <Fact label={trans.__('Id')}>
          <code>{`${container.id.slice(0, 12)} · ${cid}`}</code>
        </Fact>
      </dl>
      {detail && detail.mounts.length > 0 && <Mounts detail={detail} />}
      {detail && <Environment variables={detail.config.environment} />}
    </div>
  );
}

/** A container's details, read again at each of its changes. */
function useDetail(
  container: Container | undefined
): [ContainerDetail | null, string | null] {
  const { actions, trans } = useDesk();
  const away = trans.__('The server does not answer.');
  const [detail, setDetail] = React.useState<ContainerDetail | null>(null);
  const [failure, setFailure] = React.useState<string | null>(null);
  React.useEffect(() => {
    if (!container) {
      return undefined;
    }
    let here = true;
    actions.api.container(container.cid).then(
      found => {
        if (here) {
          setDetail(found);
          setFailure(null);
        }
      },
      (reason: unknown) => {
        if (here) {
          setFailure(wordsOf(reason, away));
        }
      }
    );
    return () => {
      here = false;
    };
  }, [actions, away, container]);
  return [detail, failure];
}

function Fact(props: {
  label: string;
  children: React.ReactNode;
}): React.ReactElement | null {
  const { label, children } = props;
  return children ? (
    <>
      <dt>{label}</dt>
      <dd>{children}</dd>
    </>
  ) : null;
}

function State(props: { detail: ContainerDetail }): React.ReactElement {
  const { state, health } = props.detail;
  const { trans, language } = useDesk();
  const ended = !state.running && moment(state.finished_at, language);
  return (
    <>
      <Fact label={trans.__('Health')}>{health}</Fact>
      <Fact label={trans.__('Started')}>
        {moment(state.started_at, language)}
      </Fact>
      {ended && <Fact label={trans.__('Ended')}>{ended}</Fact>}
      {ended && (
        <Fact label={trans.__('Exit code')}>
          {state.oom_killed
            ? trans.__('%1, out of memory', state.exit_code ?? '')
            : String(state.exit_code ?? '')}
        </Fact>
      )}
      <Fact label={trans.__('Error')}>{state.error}</Fact>
      {state.restart_count > 0 && (
        <Fact label={trans.__('Restarts')}>{state.restart_count}</Fact>
      )}
    </>
  );
}

function Limits(props: { detail: ContainerDetail }): React.ReactElement {
  const { cpu, memory_bytes, restart_policy } = props.detail;
  const { trans } = useDesk();
  return (
    <>
      <Fact label={trans.__('CPU limit')}>
        {cpu ? trans._n('%1 core', '%1 cores', cpu) : trans.__('none')}
      </Fact>
      <Fact label={trans.__('Memory limit')}>
        {memory_bytes ? bytes(memory_bytes) : trans.__('none')}
      </Fact>
      {restart_policy && restart_policy !== 'no' && (
        <Fact label={trans.__('Restart policy')}>{restart_policy}</Fact>
      )}
    </>
  );
}

function Mounts(props: { detail: ContainerDetail }): React.ReactElement {
  const { trans } = useDesk();
  return (
    <section>
      <h2>{trans.__('Folders')}</h2>
      <table className="jx-Table">
        <thead>
          <tr>
            <th scope="col">{trans.__('On this machine')}</th>
            <th scope="col">{trans.__('In the container')}</th>
            <th scope="col">{trans.__('Access')}</th>
          </tr>
        </thead>
        <tbody>
          {props.detail.mounts.map(mount => (
            <tr key={mount.container_path}>
              <td>
                <code>{mount.host_path}</code>
              </td>
              <td>
                <code>{mount.container_path}</code>
              </td>
              <td>
                {mount.read_only
                  ? trans.__('read-only')
                  : trans.__('read and write')}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
