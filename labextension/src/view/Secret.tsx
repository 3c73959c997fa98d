import { checkIcon, copyIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { copyText } from '../clipboard';
import { eyeIcon } from '../icons';
import { wordsOf } from '../model/reply';
import { useDesk } from './desk';
import { Problem } from './Field';
import { IconButton } from './IconButton';

const HIDDEN = '••••••••••••••••';

/** Something that is read from the server when it is asked for, and forgotten when it is hidden. */
export function Secret(props: {
  /** What it is, as part of a sentence. */
  label: string;
  read: () => Promise<string>;
}): React.ReactElement {
  const { label, read } = props;
  const { trans } = useDesk();
  const [value, setValue] = React.useState<string | null>(null);
  const [copied, setCopied] = React.useState(false);
  const [problem, setProblem] = React.useState<string>();
  const using = async (then: (found: string) => void) => {
    setProblem(undefined);
    try {
      then(value ?? (await read()));
    } catch (reason) {
      setProblem(wordsOf(reason, trans.__('The server does not answer.')));
    }
  };
  const copy = () =>
    using(found => {
      copyText(found);
      setCopied(true);
      setTimeout(() => setCopied(false), 2000);
    });
  return (
    <div className="jx-Secret">
      <div className="jx-Code">
        {value === null ? (
          <code aria-label={trans.__('hidden')}>{HIDDEN}</code>
        ) : (
          <code>{value}</code>
        )}
        <IconButton
          icon={eyeIcon}
          label={
            value === null
              ? trans.__('Show the %1', label)
              : trans.__('Hide the %1', label)
          }
          pressed={value !== null}
          onClick={() =>
            value === null ? void using(setValue) : setValue(null)
          }
        />
        <IconButton
          icon={copied ? checkIcon : copyIcon}
          label={copied ? trans.__('Copied') : trans.__('Copy the %1', label)}
          onClick={() => void copy()}
        />
      </div>
      <Problem text={problem} />
    </div>
  );
}
