import * as React from 'react';

import { FolderRow, newFolder, Problems } from '../model/form';
import { useDesk, useStore } from './desk';
import { Cell } from './Field';
import { Rows } from './Rows';

/** The folders of this machine that a new container gets. */
export function FolderRows(props: {
  rows: readonly FolderRow[];
  problems: Problems;
  /** Ask for a folder; null where the person chose none. */
  browse: (() => Promise<string | null>) | null;
  onChange: (rows: readonly FolderRow[]) => void;
}): React.ReactElement {
  const { rows, problems, onChange } = props;
  const { trans } = useDesk();
  const roots = useStore(state => state.mountRoots);
  return (
    <Rows<FolderRow>
      title={trans.__('Folders')}
      add={trans.__('Add folder')}
      hint={trans.__('Share a folder of this machine with the container.')}
      rows={rows}
      make={newFolder}
      problem={problems.get('folders')}
      problemsOf={row => [
        problems.get(`folders#${row.key}.host`),
        problems.get(`folders#${row.key}.container`)
      ]}
      onChange={onChange}
    >
      {(row, set) => (
        <>
          <Cell
            className="jx-mod-wide"
            label={trans.__('Folder of this machine')}
            value={row.host}
            problem={problems.get(`folders#${row.key}.host`)}
            onChange={host => set({ host })}
            input={{
              spellCheck: false,
              placeholder: roots[0] ?? trans.__('/full/path/here')
            }}
          />
          {props.browse && (
            <button
              type="button"
              className="jx-TextButton"
              onClick={() => {
                void props.browse?.().then(host => host && set({ host }));
              }}
            >
              {trans.__('Browse…')}
            </button>
          )}
          <span className="jx-Arrow" aria-hidden>
            →
          </span>
          <Cell
            className="jx-mod-wide"
            label={trans.__('Folder in the container')}
            value={row.container}
            problem={problems.get(`folders#${row.key}.container`)}
            onChange={container => set({ container })}
            input={{ spellCheck: false, placeholder: '/data' }}
          />
          <label className="jx-Check">
            <input
              type="checkbox"
              checked={row.readOnly}
              onChange={event => set({ readOnly: event.target.checked })}
            />
            {trans.__('read-only')}
          </label>
        </>
      )}
    </Rows>
  );
}
