import * as React from 'react';

import { Changes, ChangedFile, largest } from '../model/changes';
import { bytes } from '../model/format';
import { wordsOf } from '../model/reply';
import { useDesk } from './desk';

/** Files that are shown; the rest is counted. */
const SHOWN = 100;

/** What of a container differs from its image, and how big it is. */
export function ChangeList(props: { cid: number }): React.ReactElement {
  const { trans } = useDesk();
  const [changes, failure] = useChanges(props.cid);
  if (failure !== null) {
    return (
      <div className="jx-Failure" role="alert">
        {failure}
      </div>
    );
  }
  if (changes === null) {
    return (
      <div className="jx-Hint" role="status">
        {trans.__('Looking for what changed…')}
      </div>
    );
  }
  if (!changes.total) {
    return (
      <div className="jx-Hint" role="status">
        {trans.__('Nothing was changed: the image will be like its own.')}
      </div>
    );
  }
  const files = largest(changes, SHOWN);
  return (
    <div className="jx-Changes">
      <div role="status">
        <strong>
          {changes.truncated
            ? trans.__('more than %1', bytes(changes.size))
            : bytes(changes.size)}
        </strong>
        {' · '}
        {trans._n(
          '%1 file or folder differs from the image',
          '%1 files and folders differ from the image',
          changes.total
        )}
      </div>
      <div
        className="jx-Changes-scroller"
        tabIndex={0}
        role="region"
        aria-label={trans.__('Largest changes first')}
      >
        <table className="jx-Changes-table">
          <tbody>
            {files.map(file => (
              <ChangeRow key={file.path} file={file} />
            ))}
          </tbody>
        </table>
      </div>
    </div>
  );
}

function ChangeRow(props: { file: ChangedFile }): React.ReactElement {
  const { path, kind, size } = props.file;
  const { trans } = useDesk();
  const words = {
    added: trans.__('added'),
    changed: trans.__('changed'),
    deleted: trans.__('deleted')
  };
  return (
    <tr data-kind={kind}>
      <th scope="row" title={path}>
        <bdi>{path}</bdi>
      </th>
      <td className="jx-Changes-kind">{words[kind]}</td>
      <td className="jx-Changes-size">{size === null ? '' : bytes(size)}</td>
    </tr>
  );
}

function useChanges(cid: number): [Changes | null, string | null] {
  const { actions, trans } = useDesk();
  const away = trans.__('The server does not answer.');
  const [changes, setChanges] = React.useState<Changes | null>(null);
  const [failure, setFailure] = React.useState<string | null>(null);
  React.useEffect(() => {
    let here = true;
    actions.api
      .changes(cid)
      .then(found => here && setChanges(found))
      .catch((reason: unknown) => here && setFailure(wordsOf(reason, away)));
    return () => {
      here = false;
    };
  }, [actions, away, cid]);
  return [changes, failure];
}
