import * as React from 'react';

import { Chunk, chunksOf } from '../model/chunks';
import type { LogFeed } from '../model/logfeed';
import { findMatches, Match } from '../model/search';
import { useDesk } from './desk';
import { keyOf, LogLines } from './LogLines';
import { LogToolbar } from './LogToolbar';

/** The keys that lead away from the end. */
const UPWARDS = new Set(['ArrowUp', 'PageUp', 'Home']);

/** A container's output: followed, searched, wrapped, with times, downloaded. */
export function LogView(props: {
  feed: LogFeed;
  name: string;
}): React.ReactElement {
  const { feed, name } = props;
  const { trans } = useDesk();
  const lines = useLines(feed);
  const [follow, setFollow] = React.useState(true);
  const [wrap, setWrap] = React.useState(true);
  const [timestamps, setTimestamps] = React.useState(false);
  const [query, setQuery] = React.useState('');
  const [at, setAt] = React.useState<Match | null>(null);
  const scroller = React.useRef<HTMLDivElement>(null);
  const content = React.useRef<HTMLPreElement>(null);
  const search = React.useRef<HTMLInputElement>(null);
  const dragging = React.useRef(false);

  const matches = React.useMemo(
    () => findMatches(lines, query),
    [lines, query]
  );
  const before = React.useRef<readonly Chunk[]>([]);
  const chunks = React.useMemo(() => {
    before.current = chunksOf(lines, matches, before.current);
    return before.current;
  }, [lines, matches]);
  // The match looked at, found again among those of now; the newest to begin with.
  const index = at
    ? matches.findIndex(
        ({ line, start }) => line === at.line && start === at.start
      )
    : matches.length - 1;
  const current = matches[index] ?? null;

  React.useLayoutEffect(() => {
    const box = scroller.current;
    const inner = content.current;
    if (!follow || !box || !inner) {
      return undefined;
    }
    const toEnd = () => {
      box.scrollTop = box.scrollHeight;
    };
    toEnd();
    // Lines that come into view take their true height only then.
    const observer = new ResizeObserver(toEnd);
    observer.observe(inner);
    return () => observer.disconnect();
  }, [follow, lines]);

  const step = (by: number) => {
    if (!matches.length) {
      return;
    }
    const next = at
      ? (Math.max(index, 0) + by + matches.length) % matches.length
      : matches.length - 1;
    const match = matches[next] ?? null;
    setAt(match);
    setFollow(false);
    if (match) {
      requestAnimationFrame(() => {
        content.current
          ?.querySelector(`[data-at="${keyOf(match)}"]`)
          ?.scrollIntoView({ block: 'center', inline: 'nearest' });
      });
    }
  };

  return (
    <div
      className="jx-Logs"
      onKeyDown={event => {
        if ((event.ctrlKey || event.metaKey) && event.key === 'f') {
          event.preventDefault();
          event.stopPropagation();
          search.current?.select();
        }
      }}
    >
      <LogToolbar
        name={name}
        feed={feed}
        follow={follow}
        wrap={wrap}
        timestamps={timestamps}
        query={query}
        index={index}
        count={matches.length}
        search={search}
        onFollow={setFollow}
        onWrap={setWrap}
        onTimestamps={setTimestamps}
        onQuery={text => {
          setQuery(text);
          setAt(null);
        }}
        onStep={step}
      />
      <div
        className="jx-Logs-scroller jp-RenderedText"
        ref={scroller}
        role="log"
        aria-label={trans.__('Output of %1', name)}
        aria-live="off"
        tabIndex={0}
        data-begin
        onWheel={event => event.deltaY < 0 && setFollow(false)}
        onKeyDown={event => UPWARDS.has(event.key) && setFollow(false)}
        onPointerDown={() => {
          dragging.current = true;
        }}
        onPointerUp={() => {
          dragging.current = false;
        }}
        onScroll={event => {
          const box = event.currentTarget;
          const rest = box.scrollHeight - box.scrollTop - box.clientHeight;
          if (dragging.current && rest > 40) {
            setFollow(false);
          }
        }}
      >
        {feed.buffer.dropped > 0 && (
          <div className="jx-Logs-dropped">
            {trans.__('Earlier lines are left out here.')}
          </div>
        )}
        <pre ref={content} data-wrap={wrap}>
          {chunks.map(chunk => (
            <LogLines
              key={chunk.key}
              lines={chunk.lines}
              matches={chunk.matches}
              current={
                current &&
                chunk.matches.some(({ line }) => line === current.line)
                  ? current
                  : null
              }
              timestamps={timestamps}
            />
          ))}
        </pre>
        {!lines.length && (
          <div className="jx-Loading">{trans.__('No output yet.')}</div>
        )}
      </div>
    </div>
  );
}

function useLines(feed: LogFeed) {
  const subscribe = React.useCallback(
    (listener: () => void) => {
      feed.changed.connect(listener);
      return () => {
        feed.changed.disconnect(listener);
      };
    },
    [feed]
  );
  return React.useSyncExternalStore(subscribe, () => feed.buffer.lines);
}
