import { checkIcon, copyIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { copyText } from '../clipboard';
import { useDesk } from './desk';
import { IconButton } from './IconButton';

/** A command to be copied. */
export function CodeBlock(props: {
  code: string;
  /** What the button does, where there are several. */
  label?: string;
}): React.ReactElement {
  const { trans } = useDesk();
  const [copied, setCopied] = React.useState(false);
  const copy = () => {
    copyText(props.code);
    setCopied(true);
    setTimeout(() => setCopied(false), 2000);
  };
  return (
    <div className="jx-Code">
      <code>{props.code}</code>
      <IconButton
        icon={copied ? checkIcon : copyIcon}
        label={copied ? trans.__('Copied') : (props.label ?? trans.__('Copy'))}
        onClick={copy}
      />
    </div>
  );
}
