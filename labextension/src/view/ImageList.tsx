import * as React from 'react';

import { imageIcon } from '../icons';
import { imageTitle } from '../model/reference';
import type { Image } from '../model/types';
import { CommandIDs } from '../tokens';
import { useCommand, useDesk, useStore } from './desk';
import { Filter } from './Filter';
import { ImageRow } from './ImageRow';
import { List } from './List';
import { Notice } from './Notice';
import { OperationRow } from './OperationRow';

const FILTER_FROM = 8;

/** The images that the caller can run, and those on their way. */
export function ImageList(): React.ReactElement {
  const { trans } = useDesk();
  const run = useCommand();
  const images = useStore(state => state.images);
  const current = useStore(state => state.current);
  const away = useStore(state => state.engine?.available === false);
  const missing = useStore(state => state.missing);
  const [query, setQuery] = React.useState('');
  const [focused, setFocused] = React.useState<string | null>(null);

  const all = [...(images?.values() ?? [])].sort(byTitle);
  const operations = current.filter(({ kind }) => kind.startsWith('image'));
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
  const reached = shown.some(({ id }) => id === focused)
    ? focused
    : (shown[0]?.id ?? null);
  return (
    <div className="jx-Section">
      {all.length >= FILTER_FROM && (
        <Filter
          label={trans.__('Filter images')}
          query={query}
          onChange={setQuery}
        />
      )}
      <List
        label={trans.__('Images')}
        onFocusRow={row => setFocused(row.dataset['image'] ?? null)}
        onKey={(key, row) => {
          const id = row.dataset['image'];
          if (key === 'Delete' && id) {
            run(CommandIDs.removeImage, { id });
          }
        }}
      >
        {operations.map(operation => (
          <OperationRow key={operation.id} operation={operation} />
        ))}
        {shown.map(image => (
          <ImageRow
            key={image.id}
            image={image}
            current={image.id === reached}
          />
        ))}
      </List>
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
