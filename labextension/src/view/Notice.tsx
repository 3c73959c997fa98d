import { LabIcon, offlineBoltIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { CodeBlock } from './CodeBlock';
import { useDesk } from './desk';

/** A section's whole content where there is nothing to list: what is so, and what to do. */
export function Notice(props: {
  icon: LabIcon;
  title: string;
  text?: string | null;
  bad?: boolean;
  children?: React.ReactNode;
}): React.ReactElement {
  const { icon, title, text, bad, children } = props;
  return (
    <div className="jx-Notice" role={bad ? 'alert' : 'status'} data-bad={bad}>
      <icon.react tag="span" className="jx-Notice-icon" aria-hidden />
      <div className="jx-Notice-title">{title}</div>
      {text && <Cure text={text} />}
      {children}
    </div>
  );
}

/** A cure's words, with the commands in it (between backticks) as blocks to be copied. */
export function Cure(props: { text: string }): React.ReactElement {
  const parts = props.text.split('`').map(part => part.trim());
  return (
    <div className="jx-Cure">
      {parts.map((part, index) => {
        const key = `${index}-${part}`;
        if (index % 2) {
          return <CodeBlock key={key} code={part} />;
        }
        // What is left of a sentence behind its command is its full stop.
        const words = part.replace(/^[.,;:]\s*/, '');
        return words ? <p key={key}>{words}</p> : null;
      })}
    </div>
  );
}

/** Why a list is not there, and how to ask again. */
export function Failed(props: {
  text: string;
  onRetry: () => void;
}): React.ReactElement {
  const { trans } = useDesk();
  return (
    <Notice bad icon={offlineBoltIcon} title={props.text}>
      <button
        type="button"
        className="jp-mod-styled jp-mod-reject jx-Button"
        onClick={props.onRetry}
      >
        {trans.__('Try again')}
      </button>
    </Notice>
  );
}
