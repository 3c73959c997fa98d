import { deleteIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { age, moment, until } from '../model/format';
import type { ApiKey } from '../model/people';
import { CommandIDs } from '../tokens';
import { useCommand, useDesk } from './desk';
import { IconButton } from './IconButton';

/** One API key: what it is for, when it was used, when it ends, and what it opens. */
export const KeyRow = React.memo(function KeyRow(props: {
  apiKey: ApiKey;
  current: boolean;
}): React.ReactElement {
  const { apiKey, current } = props;
  const { id, name, hint, scopes } = apiKey;
  const { trans, language } = useDesk();
  const run = useCommand();
  const now = Date.now();
  const used = apiKey.last_used_at
    ? trans.__('used %1', age(apiKey.last_used_at, language, now))
    : trans.__('never used');
  const left = apiKey.expires_at
    ? until(apiKey.expires_at, language, now)
    : null;
  const over = left === '';
  return (
    <li
      className="jx-Row jx-Key"
      data-key={id}
      tabIndex={current ? 0 : -1}
      aria-label={name}
    >
      <div className="jx-Row-head">
        <span className="jx-Title jx-mod-strong" title={name}>
          {name}
        </span>
        {scopes && (
          <span className="jx-Chip" title={scopes.join('\n')}>
            {trans._n('%1 scope', '%1 scopes', scopes.length)}
          </span>
        )}
        <span className="jx-Row-actions">
          <IconButton
            icon={deleteIcon}
            label={trans.__('Revoke %1', name)}
            onClick={() => run(CommandIDs.revokeKey, { id })}
          />
        </span>
      </div>
      <div className="jx-Row-line">
        <code
          className="jx-KeyHint"
          title={trans.__('The key begins with this')}
        >{`${hint}…`}</code>
        <span
          className="jx-Row-minor"
          title={moment(apiKey.last_used_at, language)}
        >
          {used}
        </span>
      </div>
      <div className="jx-Row-line">
        <span
          className={over ? 'jx-Status jx-mod-bad' : 'jx-Row-minor'}
          title={moment(apiKey.expires_at, language)}
        >
          {over
            ? trans.__('expired')
            : left
              ? trans.__('expires %1', left)
              : trans.__('does not expire')}
        </span>
      </div>
    </li>
  );
});
