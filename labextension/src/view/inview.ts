import * as React from 'react';

/** Whether an element can be seen, so that what nobody sees need not be drawn. */
export function useInView(element: React.RefObject<Element>): boolean {
  const [seen, setSeen] = React.useState(false);
  React.useEffect(() => {
    const { current } = element;
    if (!current) {
      return undefined;
    }
    const observer = new IntersectionObserver(entries => {
      setSeen(entries.at(-1)?.isIntersecting ?? false);
    });
    observer.observe(current);
    return () => observer.disconnect();
  }, [element]);
  return seen;
}
