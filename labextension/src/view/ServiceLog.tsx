import * as React from 'react';

import { wordsOf } from '../model/reply';
import { useDesk } from './desk';
import { Failed } from './Notice';

/** The end of a service's log. */
export function ServiceLog(props: { name: string }): React.ReactElement {
  const { name } = props;
  const { services, trans } = useDesk();
  const [lines, setLines] = React.useState<readonly string[] | null>(null);
  const [problem, setProblem] = React.useState<string>();
  const end = React.useRef<HTMLPreElement>(null);
  const load = React.useCallback(() => {
    setProblem(undefined);
    services.logs(name).then(setLines, (reason: unknown) => {
      setProblem(wordsOf(reason, trans.__('The server does not answer.')));
    });
  }, [name, services, trans]);
  React.useEffect(load, [load]);
  React.useLayoutEffect(() => {
    end.current?.scrollTo({ top: end.current.scrollHeight });
  }, [lines]);
  if (problem !== undefined) {
    return <Failed text={problem} onRetry={load} />;
  }
  return (
    <pre
      ref={end}
      className="jx-ServiceLog"
      tabIndex={0}
      aria-label={trans.__('Logs of %1', name)}
    >
      {lines === null
        ? trans.__('Loading…')
        : lines.join('\n') || trans.__('It has said nothing yet.')}
    </pre>
  );
}
