import * as React from 'react';

import { Checkbox } from './Checkbox';
import { CodeBlock } from './CodeBlock';
import { useDesk } from './desk';
import { Problem } from './Field';

/** The key that an ssh host shows, which somebody who knows the host must confirm. */
export function HostKey(props: {
  fingerprint: string;
  confirmed: boolean;
  problem: string | undefined;
  disabled: boolean;
  onChange: (confirmed: boolean) => void;
}): React.ReactElement {
  const { fingerprint, confirmed, problem, disabled, onChange } = props;
  const { trans } = useDesk();
  return (
    <fieldset className="jx-Options jx-HostKey" disabled={disabled}>
      <legend>{trans.__('The host shows this key')}</legend>
      <CodeBlock code={fingerprint} label={trans.__('Copy the fingerprint')} />
      <div className="jx-Hint">
        {trans.__(
          'Whoever shows it sees all that runs there. Compare it with what the host’s administrator says; there:'
        )}
      </div>
      <CodeBlock
        code="ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub"
        label={trans.__('Copy the command')}
      />
      <Checkbox
        label={trans.__('It is the host’s key')}
        checked={confirmed}
        onChange={onChange}
      />
      <Problem text={problem} />
    </fieldset>
  );
}
