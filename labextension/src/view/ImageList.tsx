import * as React from 'react';

import { imageIcon } from '../icons';
import { imageTitle } from '../model/reference';
import type { Image } from '../model/types';
import { CommandIDs } from '../tokens';
import { useCommand, useDesk, useStore } from './desk';
import { Filter } from './Filter';
import { ImageRow } from './ImageRow';
import { ItemList } from './ItemList';
import { Notice } from './Notice';
import { useOperationRows } from './OperationRow';

const FILTER_FROM = 8;

/** The images that the caller can run, and those on their way. */
export function ImageList(): React.ReactElement {
  const { trans } = useDesk();
  const run = useCommand();
  const images = useStore(state => state.images);
  const away = useStore(state => state.engine?.available === false);
  const missing = useStore(state => state.missing);
  const [query, setQuery] = React.useState('');

  const all = [...(images?.values() ?? [])].sort(byTitle);
  const operations = useOperationRows(/^image/);
  if (missing) {
    // The containers' section says it all.
    return <></>;
  }
  if (!all.length && !operations.length) {
    if (!images || away) {
      return (
        <div className="jx-Loading">
          {away
            ? trans.__('Images show when the engine answers.')
            : trans.__('Loading…')}
        </div>
      );
    }
    return (
      <Notice
        icon={imageIcon}
        title={trans.__('No images yet')}
        text={trans.__('An image is what a container is made from.')}
      >
        <button
          type="button"
          className="jp-mod-styled jp-mod-reject jx-Button"
          onClick={() => run(CommandIDs.pull)}
        >
          {trans.__('Pull an image')}
        </button>
      </Notice>
    );
  }
  const shown = all.filter(image =>
    [image.id, ...image.tags].some(text =>
      text.toLowerCase().includes(query.toLowerCase())
    )
  );
  return (
    <div className="jx-Section">
      {all.length >= FILTER_FROM && (
        <Filter
          label={trans.__('Filter images')}
          query={query}
          onChange={setQuery}
        />
      )}
      <ItemList
        label={trans.__('Images')}
        of="image"
        items={shown}
        keyOf={({ id }) => id}
        above={operations}
        onDelete={({ id }) => run(CommandIDs.removeImage, { id })}
      >
        {(image, current) => <ImageRow image={image} current={current} />}
      </ItemList>
      {query && !shown.length && (
        <div className="jx-Loading">
          {trans.__('No image fits “%1”.', query)}
        </div>
      )}
    </div>
  );
}

/** By name, those that have none last. */
function byTitle(a: Image, b: Image): number {
  const named = Number(b.tags.length > 0) - Number(a.tags.length > 0);
  return named || imageTitle(a).localeCompare(imageTitle(b));
}
