import * as React from 'react';

import { DeviceWish, LOCAL_DEVICE, ShownKey, wayOf } from '../model/devices';
import type { FormProps } from '../widgets/formdialog';
import { useDesk } from './desk';
import { Field } from './Field';
import { HostKey } from './HostKey';

/** Where a host's engine is, and what makes it trusted. */
export function DeviceForm(props: FormProps<DeviceWish>): React.ReactElement {
  const { values, problems, details, busy, change } = props;
  const { trans } = useDesk();
  const { device, trusted } = values;
  const address = values.address.trim();
  const way = wayOf(address);
  const keys = [details['shown'] as ShownKey | undefined, trusted];
  // A key of another address says nothing of this one.
  const key = keys.find(each => each?.address === address);
  const input = { disabled: busy, spellCheck: false, autoComplete: 'off' };
  return (
    <div className="jx-DeviceForm">
      <Field
        label={trans.__('Name')}
        value={values.name}
        problem={problems['name']}
        hint={trans.__('Letters, digits, dots, dashes and underscores')}
        onChange={name => change({ name })}
        input={{
          ...input,
          autoFocus: true,
          autoCapitalize: 'none',
          maxLength: 63
        }}
      />
      {device?.did !== LOCAL_DEVICE && (
        <>
          <Field
            label={trans.__('Address')}
            value={values.address}
            problem={problems['address']}
            hint={trans.__('ssh://user@host, or tcp://host:port behind TLS')}
            onChange={text => change({ address: text })}
            input={{ ...input, maxLength: 512 }}
          />
          {way === 'ssh' && key && (
            <HostKey
              fingerprint={key.fingerprint}
              confirmed={trusted?.address === address}
              problem={problems['host_key']}
              disabled={busy}
              onChange={confirmed =>
                change({ trusted: confirmed ? key : null })
              }
            />
          )}
          {way === 'tls' && (
            <Field
              label={trans.__('Certificates')}
              value={values.certificates}
              problem={problems['certificates']}
              hint={
                device?.address === address
                  ? trans.__('As they are, where this is left empty')
                  : trans.__(
                      'A folder of the server’s machine with ca.pem, cert.pem and key.pem'
                    )
              }
              onChange={certificates => change({ certificates })}
              input={{ ...input, maxLength: 4096 }}
            />
          )}
          <Field
            label={trans.__('Ports are bound to')}
            value={values.bindAddress}
            problem={problems['bind_address']}
            hint={trans.__(
              'Optional: an IP address of the host; by default the one that its name stands for'
            )}
            onChange={bindAddress => change({ bindAddress })}
            input={{ ...input, maxLength: 64 }}
          />
          <div className="jx-Hint" role="status">
            {busy
              ? trans.__(
                  'Asking the host. Looking for its GPUs takes minutes where an image is pulled first.'
                )
              : null}
          </div>
        </>
      )}
    </div>
  );
}
