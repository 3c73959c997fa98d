import * as React from 'react';

import { copyText } from '../clipboard';
import { wordsOf } from '../model/reply';
import { useDesk } from './desk';
import { Problem } from './Field';

/** How programs get into something that was just made. */
export function WayIn(props: {
  /** Asked for when it is copied: the password is in it. */
  url: () => Promise<string>;
}): React.ReactElement {
  const { url } = props;
  const { trans } = useDesk();
  const [copied, setCopied] = React.useState(false);
  const [problem, setProblem] = React.useState<string>();
  const copy = async () => {
    setProblem(undefined);
    try {
      copyText(await url());
      setCopied(true);
    } catch (reason) {
      setProblem(wordsOf(reason, trans.__('The server does not answer.')));
    }
  };
  return (
    <>
      <div>
        {trans.__(
          'Programs get into it by its connection URL. The password is in that: share it with nobody.'
        )}
      </div>
      <button
        type="button"
        className="jp-mod-styled jp-mod-reject jx-Button jx-WayIn-copy"
        onClick={() => void copy()}
      >
        {copied ? trans.__('Copied') : trans.__('Copy connection URL')}
      </button>
      <Problem text={problem} />
    </>
  );
}
