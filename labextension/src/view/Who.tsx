import { PageConfig } from '@jupyterlab/coreutils';
import { lockIcon, userIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { CommandIDs } from '../tokens';
import { useCommand, useDesk, usePeople } from './desk';
import { IconButton } from './IconButton';

/** Who the reader is here, and how they came in. */
export function Who(): React.ReactElement {
  const { trans } = useDesk();
  const run = useCommand();
  const me = usePeople(state => state.me);
  const how = PageConfig.getOption('hubUser')
    ? trans.__('logged in through JupyterHub')
    : trans.__('logged in through Jupyter');
  return (
    <div className="jx-Who">
      <userIcon.react tag="span" className="jx-Icon jx-Who-icon" aria-hidden />
      <div className="jx-Who-words">
        <div className="jx-Who-name">
          <span className="jx-Title jx-mod-strong" title={me?.username}>
            {me?.username ?? trans.__('Loading…')}
          </span>
          {me && (
            <span className="jx-Chip" title={trans.__('Your role')}>
              {me.role}
            </span>
          )}
        </div>
        <div className="jx-Row-minor">{me ? how : '\u00a0'}</div>
      </div>
      <IconButton
        icon={lockIcon}
        label={trans.__('Change your password')}
        disabled={!me}
        onClick={() => run(CommandIDs.password)}
      />
    </div>
  );
}
