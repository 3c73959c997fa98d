import { closeIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { splitName } from '../model/reference';
import { hasEnded, Operation } from '../model/types';
import { CommandIDs } from '../tokens';
import { useCommand, useDesk, useStore } from './desk';
import { IconButton } from './IconButton';
import { ProgressBar } from './ProgressBar';

/** The rows of work whose kind fits. */
export function useOperationRows(fits: RegExp): readonly React.ReactElement[] {
  const current = useStore(state => state.current);
  return current
    .filter(({ kind }) => fits.test(kind))
    .map(operation => (
      <OperationRow key={operation.id} operation={operation} />
    ));
}

/** Work under way, or that failed: above the list that it will change. */
export function OperationRow(props: {
  operation: Operation;
}): React.ReactElement {
  const { operation } = props;
  const { store, trans } = useDesk();
  const run = useCommand();
  const { id, kind, subject } = operation;
  // What follows a slash is the title of an image alone.
  const title = /^(?:database|backup|snapshot)\./.test(kind)
    ? subject
    : splitName(subject).title;
  const failed = operation.state === 'failed';
  const message = failed
    ? (operation.error?.message ?? operation.message)
    : operation.message;
  return (
    <li className="jx-Row jx-Operation" data-operation={id} tabIndex={-1}>
      <div className="jx-Row-head">
        <span
          className={`jx-Dot jx-mod-${failed ? 'bad' : 'busy'}`}
          aria-hidden
        />
        <button
          type="button"
          className="jx-Name"
          title={trans.__('Show progress of %1', subject)}
          onClick={() => run(CommandIDs.progress, { id })}
        >
          {title}
        </button>
        <span className="jx-Row-actions">
          {hasEnded(operation) ? (
            <IconButton
              icon={closeIcon}
              label={trans.__('Dismiss')}
              onClick={() => store.dismiss(id)}
            />
          ) : (
            <IconButton
              icon={closeIcon}
              label={trans.__('Cancel %1', subject)}
              onClick={() => run(CommandIDs.cancel, { id })}
            />
          )}
        </span>
      </div>
      {!failed && <ProgressBar value={operation.progress} label={subject} />}
      {message && (
        <div
          className={failed ? 'jx-Problem' : 'jx-Row-line'}
          role={failed ? 'alert' : undefined}
          title={message}
        >
          <span className={failed ? '' : 'jx-Row-minor'}>{message}</span>
        </div>
      )}
    </li>
  );
}
