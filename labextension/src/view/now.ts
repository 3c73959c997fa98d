import * as React from 'react';

/** The time, told anew every so often, for what is said in ages. */
export function useNow(milliseconds = 30_000): number {
  const [now, setNow] = React.useState(Date.now);
  React.useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), milliseconds);
    return () => clearInterval(timer);
  }, [milliseconds]);
  return now;
}
