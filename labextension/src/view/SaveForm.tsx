import * as React from 'react';

import type { FormProps } from '../widgets/formdialog';
import { ChangeList } from './ChangeList';
import { useDesk } from './desk';
import { Field } from './Field';

/** An image to be made of a container. */
export interface SaveWish {
  readonly cid: number;
  readonly name: string;
  readonly public: boolean;
}

/** What goes into the image, what it is called, and who may use it. */
export function SaveForm(props: FormProps<SaveWish>): React.ReactElement {
  const { values, problems, busy, change } = props;
  const { trans } = useDesk();
  const group = React.useId();
  const readers: ReadonlyArray<readonly [boolean, string]> = [
    [false, trans.__('Only I may use it')],
    [true, trans.__('Everybody on this server may use it')]
  ];
  return (
    <div className="jx-Save">
      <ChangeList cid={values.cid} />
      <Field
        label={trans.__('Name of the image')}
        value={values.name}
        problem={problems['name']}
        hint={trans.__(
          'Small letters, digits, dots and dashes; a tag may follow, as in tools:2.'
        )}
        onChange={name => change({ name })}
        input={{
          spellCheck: false,
          maxLength: 200,
          disabled: busy,
          autoFocus: true
        }}
      />
      <fieldset className="jx-Options" disabled={busy}>
        <legend>{trans.__('Who may use it')}</legend>
        {readers.map(([value, label]) => (
          <label key={String(value)} className="jx-Option">
            <input
              type="radio"
              name={group}
              checked={values.public === value}
              onChange={() => change({ public: value })}
            />
            {label}
          </label>
        ))}
      </fieldset>
      <div className="jx-Hint">
        {values.public
          ? trans.__(
              'Everybody can read every file in it: leave nothing secret in the container.'
            )
          : trans.__(
              'The container stands still while it is saved. Its variables and its folders of this machine are not part of the image.'
            )}
      </div>
    </div>
  );
}
