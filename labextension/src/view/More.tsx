import * as React from 'react';

import { useInView } from './inview';

/** Rows that are drawn at first, and more each time that the end comes into sight. */
const STEP = 100;

/**
 * The first rows of a list, and what to put below them.
 *
 * An administrator may see a thousand rows; drawing them all at once would take a second.
 */
export function useGrowing<T>(
  rows: readonly T[]
): [readonly T[], React.ReactElement | null] {
  const [limit, setLimit] = React.useState(STEP);
  const more =
    rows.length > limit ? (
      <More key={limit} onSeen={() => setLimit(limit + STEP)} />
    ) : null;
  return [rows.slice(0, limit), more];
}

function More(props: { onSeen: () => void }): React.ReactElement {
  const { onSeen } = props;
  const end = React.useRef<HTMLLIElement>(null);
  const seen = useInView(end);
  React.useEffect(() => {
    if (seen) {
      onSeen();
    }
    // The next end is another element.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [seen]);
  return <li ref={end} className="jx-More" aria-hidden />;
}
