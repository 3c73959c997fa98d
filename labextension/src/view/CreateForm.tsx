import * as React from 'react';

import {
  check,
  EMPTY_FORM,
  Form,
  place,
  Problems,
  toRequest
} from '../model/form';
import { imageNamed, proposeName } from '../model/reference';
import { ApiError, wordsOf } from '../model/reply';
import type { Operation } from '../model/types';
import { ConnectChoice } from './ConnectChoice';
import { useDesk, useStore } from './desk';
import { Field } from './Field';
import { FolderRows } from './FolderRows';
import { GpuChoice } from './GpuChoice';
import { Cure } from './Notice';
import { OperationProgress } from './OperationProgress';
import { PortRows } from './PortRows';
import { VariableRows } from './VariableRows';

const NO_PROBLEMS: Problems = new Map();

export interface CreateFormProps {
  /** The image to begin with. */
  readonly image: string;
  /** Ask for a folder of the host; null where the person chose none. */
  readonly browse: (() => Promise<string | null>) | null;
  /** The container is there, or nobody wants it. */
  readonly onClose: () => void;
}

/** Everything about a new container; stays until the container runs. */
export function CreateForm(props: CreateFormProps): React.ReactElement {
  const { actions, trans } = useDesk();
  const images = useStore(state => state.images);
  const containers = useStore(state => state.containers);
  const [form, setForm] = React.useState<Form>({
    ...EMPTY_FORM,
    image: props.image
  });
  const [named, setNamed] = React.useState(false);
  const [problems, setProblems] = React.useState(NO_PROBLEMS);
  const [failure, setFailure] = React.useState<string | null>(null);
  const [sending, setSending] = React.useState(false);
  const [operation, setOperation] = React.useState<Operation | null>(null);
  const body = React.useRef<HTMLFormElement>(null);
  const list = React.useId();

  const all = [...(images?.values() ?? [])];
  const tags = all.flatMap(image => image.tags);
  const image = imageNamed(all, form.image);
  const enterable = image?.connect ?? false;
  const taken = new Set([...(containers?.values() ?? [])].map(c => c.name));
  const proposed = proposeName(form.image.trim(), taken);
  const shown = named ? form : { ...form, name: proposed };
  const change = (part: Partial<Form>) => setForm({ ...form, ...part });

  React.useEffect(() => {
    if (problems.size) {
      body.current
        ?.querySelector<HTMLElement>('[aria-invalid="true"]')
        ?.focus();
    }
  }, [problems]);

  const submit = async () => {
    const found = check(shown, {
      required: trans.__('This is needed.'),
      port: trans.__('A port is a number from 1 to 65535.'),
      number: trans.__('This must be a number above 0.'),
      twice: trans.__('This is given twice.')
    });
    setProblems(found);
    setFailure(null);
    if (found.size) {
      return;
    }
    setSending(true);
    try {
      const started = await actions.create(toRequest(shown, enterable));
      if (started) {
        setOperation(started);
        const ended = await actions.end(started);
        if (ended.state === 'cancelled') {
          return;
        }
      }
      props.onClose();
    } catch (reason) {
      const named = reason instanceof ApiError ? reason.problems : [];
      const { placed, rest } = place(shown, named);
      setProblems(placed);
      setFailure(
        placed.size && !rest.length
          ? null
          : named.length
            ? rest.join(' ')
            : wordsOf(reason, trans.__('The server does not answer.'))
      );
    } finally {
      setSending(false);
      setOperation(null);
    }
  };

  return (
    <form
      className="jx-Form"
      ref={body}
      noValidate
      onSubmit={event => {
        event.preventDefault();
        void submit();
      }}
    >
      <h1>{trans.__('New container')}</h1>
      <fieldset className="jx-Form-body" disabled={sending}>
        <div className="jx-Form-pair">
          <Field
            label={trans.__('Image')}
            value={form.image}
            problem={problems.get('image')}
            hint={
              form.image.trim() && images && !image
                ? trans.__('Not here yet: it is pulled first.')
                : undefined
            }
            onChange={image => change({ image })}
            input={{
              list,
              'data-begin': true,
              spellCheck: false,
              placeholder: 'nginx:latest'
            }}
          />
          <datalist id={list}>
            {tags.map(tag => (
              <option key={tag} value={tag} />
            ))}
          </datalist>
          <Field
            label={trans.__('Name')}
            value={shown.name}
            problem={problems.get('name')}
            onChange={name => {
              setNamed(true);
              change({ name });
            }}
            input={{ spellCheck: false, placeholder: trans.__('my-service') }}
          />
        </div>
        {enterable && (
          <ConnectChoice
            checked={form.connect}
            onChange={connect => change({ connect })}
          />
        )}
        <PortRows
          rows={form.ports}
          problems={problems}
          onChange={ports => change({ ports })}
        />
        <VariableRows
          rows={form.variables}
          problems={problems}
          onChange={variables => change({ variables })}
        />
        <FolderRows
          rows={form.folders}
          problems={problems}
          browse={props.browse}
          onChange={folders => change({ folders })}
        />
        <div className="jx-Form-pair">
          <Field
            label={trans.__('CPU limit (cores)')}
            value={form.cpu}
            problem={problems.get('cpu')}
            onChange={cpu => change({ cpu })}
            input={{ inputMode: 'decimal', placeholder: trans.__('default') }}
          />
          <Field
            label={trans.__('Memory limit (MB)')}
            value={form.memory}
            problem={problems.get('memory')}
            onChange={memory => change({ memory })}
            input={{ inputMode: 'numeric', placeholder: trans.__('default') }}
          />
        </div>
        <GpuChoice
          gpu={form.gpu}
          wait={form.wait}
          problem={problems.get('gpu')}
          onChange={change}
        />
        <Field
          label={trans.__('Command')}
          value={form.command}
          problem={problems.get('command')}
          onChange={command => change({ command })}
          input={{
            spellCheck: false,
            placeholder: trans.__("the image's own")
          }}
        />
      </fieldset>
      <div className="jx-Form-foot">
        {operation && <OperationProgress id={operation.id} />}
        {failure && (
          <div className="jx-Failure" role="alert">
            <Cure text={failure} />
          </div>
        )}
        <div className="jx-Form-buttons">
          <button
            type="submit"
            className="jp-mod-styled jp-mod-accept jx-Button"
            disabled={sending}
          >
            {sending ? trans.__('Starting…') : trans.__('Create and start')}
          </button>
          <button
            type="button"
            className="jp-mod-styled jp-mod-reject jx-Button"
            onClick={() => {
              if (operation) {
                void actions.cancel(operation);
              } else {
                props.onClose();
              }
            }}
          >
            {trans.__('Cancel')}
          </button>
        </div>
      </div>
    </form>
  );
}
