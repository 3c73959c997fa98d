import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { bytes } from '../model/format';
import { Layer, Operation } from '../model/types';
import { useDesk, useStore } from './desk';
import { ProgressBar } from './ProgressBar';

const FINISHED = /complete|exists/i;

/** An operation in full: how far, what now, and each layer of the image on its way. */
export function OperationProgress(props: {
  id: string;
}): React.ReactElement | null {
  const { trans } = useDesk();
  const operation = useStore(state => state.operations.get(props.id));
  if (!operation) {
    return null;
  }
  const layers = operation.details?.layers ?? [];
  return (
    <div className="jx-OperationProgress">
      <div className="jx-OperationProgress-head" aria-live="polite">
        <span>{messageOf(trans, operation)}</span>
        {operation.progress !== null && (
          <span className="jx-Number">
            {`${Math.round(operation.progress * 100)}%`}
          </span>
        )}
      </div>
      {operation.state !== 'failed' && operation.state !== 'cancelled' && (
        <ProgressBar
          value={operation.state === 'succeeded' ? 1 : operation.progress}
          label={operation.subject}
          done={operation.state === 'succeeded'}
        />
      )}
      {layers.length > 0 && (
        <div className="jx-Layers-scroller">
          <table className="jx-Layers">
            <caption>{trans.__('Layers')}</caption>
            <tbody>
              {layers.map(layer => (
                <LayerRow key={layer.id} layer={layer} />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </div>
  );
}

function LayerRow(props: { layer: Layer }): React.ReactElement {
  const { id, status, current, total } = props.layer;
  const finished = FINISHED.test(status);
  const part = total ? (current ?? 0) / total : null;
  // A layer in line for its turn stands still: only one at work moves without an end.
  const waiting = part === null && !finished && /wait|fs layer/i.test(status);
  return (
    <tr data-finished={finished}>
      <th scope="row">{id.slice(0, 12)}</th>
      <td className="jx-Layers-bar">
        <ProgressBar
          value={finished ? 1 : waiting ? 0 : part}
          label={id}
          done={finished}
        />
      </td>
      <td className="jx-Layers-size">{sizeOf(props.layer, finished)}</td>
      <td className="jx-Layers-status">{status}</td>
    </tr>
  );
}

/** How much of how much; nothing where the engine tells no size (it counts a layer as 1 then). */
function sizeOf({ current, total }: Layer, finished: boolean): string {
  if (!total || total <= 1) {
    return '';
  }
  return finished ? bytes(total) : `${bytes(current ?? 0)} / ${bytes(total)}`;
}

function messageOf(trans: TranslationBundle, operation: Operation): string {
  switch (operation.state) {
    case 'failed':
      return operation.error?.message ?? trans.__('Failed');
    case 'cancelled':
      return trans.__('Cancelled');
    case 'succeeded':
      return operation.message ?? trans.__('Done');
    case 'pending':
    case 'running':
      return operation.message ?? trans.__('Working…');
  }
}
