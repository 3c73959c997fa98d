import * as React from 'react';

import { useDesk, useStore } from './desk';

/** The GPUs that a container was made with, by number and model. */
export function GrantedGpus(props: {
  gids: readonly number[];
}): React.ReactElement {
  const { trans } = useDesk();
  const gpus = useStore(state => state.gpus);
  return (
    <>
      {props.gids
        .map(gid => {
          const model = gpus.find(gpu => gpu.gid === gid)?.model;
          return model ? `${gid} · ${model}` : trans.__('%1, gone', gid);
        })
        .join(', ')}
    </>
  );
}
