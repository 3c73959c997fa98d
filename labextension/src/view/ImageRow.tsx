import { deleteIcon, ellipsesIcon, runIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { age, bytes } from '../model/format';
import { imageTitle, splitName } from '../model/reference';
import type { Image } from '../model/types';
import { CommandIDs } from '../tokens';
import { useCommand, useDesk, useStore } from './desk';
import { IconButton } from './IconButton';

/** One image: its tag, size and age, and how to run it. */
export const ImageRow = React.memo(function ImageRow(props: {
  image: Image;
  current: boolean;
}): React.ReactElement {
  const { image, current } = props;
  const { id } = image;
  const { trans, language, openMenu } = useDesk();
  const run = useCommand();
  const username = useStore(state => state.username);
  const { registry, title } = splitName(imageTitle(image));
  const others = image.tags.length - 1;
  const own = username !== '' && image.owner === username;
  const foreign = image.owner !== null && username !== '' && !own;
  const shared = image.shared_with;
  return (
    <li
      className="jx-Row jx-Image"
      data-image={id}
      data-own={own && !image.public}
      tabIndex={current ? 0 : -1}
      aria-label={title}
    >
      <div className="jx-Row-head">
        <span className="jx-Title" title={image.tags.join('\n') || id}>
          {title}
        </span>
        {others > 0 && (
          <span className="jx-Chip" title={image.tags.slice(1).join('\n')}>
            {`+${others}`}
          </span>
        )}
        <span className="jx-Row-actions">
          <IconButton
            icon={runIcon}
            label={trans.__('New container from %1', title)}
            onClick={() => run(CommandIDs.run, { id })}
          />
          <IconButton
            icon={deleteIcon}
            label={trans.__('Delete %1', title)}
            onClick={() => run(CommandIDs.removeImage, { id })}
          />
          <IconButton
            icon={ellipsesIcon}
            label={trans.__('More for %1', title)}
            hasMenu
            onClick={openMenu}
          />
        </span>
      </div>
      <div className="jx-Row-line">
        <span className="jx-Row-minor">
          {[
            bytes(image.size),
            age(image.created_at, language, Date.now()),
            registry
          ]
            .filter(Boolean)
            .join(' · ')}
        </span>
        {!image.tags.length && (
          <span className="jx-Chip">{trans.__('untagged')}</span>
        )}
        {!image.public && (
          <span className="jx-Chip" title={foreign ? '' : shared.join('\n')}>
            {shared.length ? trans.__('shared') : trans.__('private')}
          </span>
        )}
        {foreign && <span className="jx-Chip">{image.owner}</span>}
      </div>
    </li>
  );
});
