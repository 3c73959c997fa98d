import {
  caretDownIcon,
  caretUpIcon,
  clearIcon,
  downloadIcon
} from '@jupyterlab/ui-components';
import * as React from 'react';

import { clockIcon, followIcon, wrapIcon } from '../icons';
import type { LogFeed } from '../model/logfeed';
import { LONGEST_TAIL } from '../model/logfeed';
import { useDesk } from './desk';
import { IconButton } from './IconButton';

/** What can be done with a container's output. */
export function LogToolbar(props: {
  name: string;
  feed: LogFeed;
  follow: boolean;
  wrap: boolean;
  timestamps: boolean;
  query: string;
  /** Which match is looked at, from 0. */
  index: number;
  count: number;
  search: React.RefObject<HTMLInputElement>;
  onFollow: (on: boolean) => void;
  onWrap: (on: boolean) => void;
  onTimestamps: (on: boolean) => void;
  onQuery: (query: string) => void;
  onStep: (by: number) => void;
}): React.ReactElement {
  const { trans, language } = useDesk();
  const { name, feed, query, index, count, timestamps } = props;
  const place = (number: number) => number.toLocaleString(language);
  return (
    <div className="jx-Toolbar" role="toolbar" aria-label={trans.__('Logs')}>
      <input
        type="search"
        className="jp-mod-styled jx-Input jx-Toolbar-search"
        ref={props.search}
        placeholder={trans.__('Search')}
        aria-label={trans.__('Search in the output')}
        value={query}
        spellCheck={false}
        onChange={event => props.onQuery(event.target.value)}
        onKeyDown={event => {
          if (event.key === 'Enter') {
            event.preventDefault();
            props.onStep(event.shiftKey ? -1 : 1);
          } else if (event.key === 'Escape') {
            props.onQuery('');
          }
        }}
      />
      <span className="jx-Toolbar-count" role="status">
        {query &&
          (count
            ? trans.__('%1 of %2', place(index + 1), place(count))
            : trans.__('nothing'))}
      </span>
      <IconButton
        icon={caretUpIcon}
        label={trans.__('Previous match')}
        disabled={!count}
        onClick={() => props.onStep(-1)}
      />
      <IconButton
        icon={caretDownIcon}
        label={trans.__('Next match')}
        disabled={!count}
        onClick={() => props.onStep(1)}
      />
      <span className="jx-Toolbar-gap" />
      <IconButton
        icon={followIcon}
        label={trans.__('Follow new output')}
        pressed={props.follow}
        onClick={() => props.onFollow(!props.follow)}
      />
      <IconButton
        icon={wrapIcon}
        label={trans.__('Wrap long lines')}
        pressed={props.wrap}
        onClick={() => props.onWrap(!props.wrap)}
      />
      <IconButton
        icon={clockIcon}
        label={trans.__('Show times')}
        pressed={timestamps}
        onClick={() => props.onTimestamps(!timestamps)}
      />
      <span className="jx-Toolbar-divider" />
      <IconButton
        icon={clearIcon}
        label={trans.__('Clear what is shown')}
        onClick={() => feed.clear()}
      />
      <Download name={name} feed={feed} timestamps={timestamps} />
    </div>
  );
}

/** Saves the whole output that the server gives, or what is here where it gives none. */
function Download(props: {
  name: string;
  feed: LogFeed;
  timestamps: boolean;
}): React.ReactElement {
  const { name, feed, timestamps } = props;
  const { actions, trans } = useDesk();
  const save = async () => {
    const { buffer, cid } = feed;
    let text: string;
    try {
      text = await actions.api.logs(cid, LONGEST_TAIL, timestamps);
    } catch {
      text = buffer.lines
        .map(({ time, text }) => (timestamps ? `${time} ${text}` : text))
        .join('\n');
    }
    const url = URL.createObjectURL(new Blob([text], { type: 'text/plain' }));
    const link = document.createElement('a');
    link.href = url;
    link.download = `${name}.log`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
  };
  return (
    <IconButton
      icon={downloadIcon}
      label={trans.__('Download')}
      onClick={() => void save()}
    />
  );
}
