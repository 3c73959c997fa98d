import * as React from 'react';

import type { Container, ContainerDetail } from '../model/types';
import { isUp } from '../model/types';
import { useDesk } from './desk';

/** What is lost with a container, and what stays. */
export function RemoveContainer(props: {
  container: Container;
}): React.ReactElement {
  const { container } = props;
  const { actions, trans } = useDesk();
  const [detail, setDetail] = React.useState<ContainerDetail | null>(null);
  const [changed, setChanged] = React.useState<number | null>(null);
  React.useEffect(() => {
    let here = true;
    // What can't be read is left out: the question stands without it.
    actions.api
      .container(container.cid)
      .then(found => here && setDetail(found))
      .catch(() => undefined);
    actions.api
      .changes(container.cid)
      .then(({ total }) => here && setChanged(total))
      .catch(() => undefined);
    return () => {
      here = false;
    };
  }, [actions, container.cid]);
  return (
    <div className="jx-Remove">
      {isUp(container) && (
        <p>{trans.__('It is running, and is stopped first.')}</p>
      )}
      <dl className="jx-Facts">
        <dt>{trans.__('Lost')}</dt>
        <dd>
          {changed === null
            ? trans.__('everything that was written inside the container')
            : trans._n(
                'everything that was written inside the container (%1 file changed)',
                'everything that was written inside the container (%1 files changed)',
                changed
              )}
        </dd>
        <dt>{trans.__('Kept')}</dt>
        <dd>{trans.__('the image %1', container.image)}</dd>
        {detail?.mounts.map(mount => (
          <React.Fragment key={mount.container_path}>
            <dt />
            <dd>{trans.__('the folder %1', mount.host_path)}</dd>
          </React.Fragment>
        ))}
      </dl>
    </div>
  );
}
