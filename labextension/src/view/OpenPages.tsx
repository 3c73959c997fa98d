import { launchIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { pageAddress, Service } from '../model/connection';
import { wordsOf } from '../model/reply';
import { useDesk } from './desk';
import { Problem } from './Field';

/** Buttons for the pages that a container serves: each opens in a tab of its own. */
export function OpenPages(props: {
  cid: number;
  disabled: boolean;
}): React.ReactElement {
  const { cid, disabled } = props;
  const { actions, trans } = useDesk();
  const [asking, setAsking] = React.useState<Service | null>(null);
  const [problem, setProblem] = React.useState<string>();
  const open = async (service: Service) => {
    setAsking(service);
    setProblem(undefined);
    try {
      const { url } = await actions.api.openPage(cid, service);
      const { baseUrl } = actions.api.settings;
      // What runs in the container must not reach back to this page.
      window.open(pageAddress(url, baseUrl), '_blank', 'noopener,noreferrer');
    } catch (reason) {
      setProblem(wordsOf(reason, trans.__('The server does not answer.')));
    } finally {
      setAsking(null);
    }
  };
  const pages: ReadonlyArray<readonly [Service, string]> = [
    ['jupyter', trans.__('Open JupyterLab')],
    ['tensorboard', trans.__('Open TensorBoard')]
  ];
  return (
    <>
      <span className="jx-Card-actions">
        {pages.map(([service, label]) => (
          <button
            key={service}
            type="button"
            className="jx-TextButton"
            disabled={disabled || asking !== null}
            onClick={() => void open(service)}
          >
            <launchIcon.react tag="span" className="jx-Icon" aria-hidden />
            {label}
          </button>
        ))}
      </span>
      {problem !== undefined && (
        <div className="jx-Card-problem">
          <Problem text={problem} />
        </div>
      )}
    </>
  );
}
