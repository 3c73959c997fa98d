import type { FieldProblem, NewContainer } from './types';

/** A row of the form; `key` stays with it while others come and go. */
export interface PortRow {
  readonly key: number;
  readonly host: string;
  readonly container: string;
  readonly protocol: 'tcp' | 'udp';
}

export interface VariableRow {
  readonly key: number;
  readonly name: string;
  readonly value: string;
}

export interface FolderRow {
  readonly key: number;
  readonly host: string;
  readonly container: string;
  readonly readOnly: boolean;
}

export interface Form {
  readonly image: string;
  readonly name: string;
  readonly command: string;
  readonly cpu: string;
  readonly memory: string;
  /** Empty for none, `auto` for any, or a number. */
  readonly gpu: string;
  readonly wait: boolean;
  /** With ssh, JupyterLab and TensorBoard, where the image has them. */
  readonly connect: boolean;
  readonly ports: readonly PortRow[];
  readonly variables: readonly VariableRow[];
  readonly folders: readonly FolderRow[];
}

/** Problems by place: a field's name, or a row's (`ports#3`) and its part (`ports#3.host`). */
export type Problems = ReadonlyMap<string, string>;

export const EMPTY_FORM: Form = {
  image: '',
  name: '',
  command: '',
  cpu: '',
  memory: '',
  gpu: '',
  wait: false,
  connect: true,
  ports: [],
  variables: [],
  folders: []
};

let keys = 0;

export function newPort(row: Partial<PortRow> = {}): PortRow {
  return { host: '', container: '', protocol: 'tcp', ...row, key: ++keys };
}

export function newVariable(row: Partial<VariableRow> = {}): VariableRow {
  return { name: '', value: '', ...row, key: ++keys };
}

export function newFolder(row: Partial<FolderRow> = {}): FolderRow {
  return { host: '', container: '', readOnly: false, ...row, key: ++keys };
}

/** Words that the caller translates. */
export interface FormWords {
  readonly required: string;
  readonly port: string;
  readonly number: string;
  readonly twice: string;
}

/** Rows that a person has begun; a row left empty is no row. */
function begun(form: Form): {
  ports: PortRow[];
  variables: VariableRow[];
  folders: FolderRow[];
} {
  return {
    ports: form.ports.filter(row => row.host || row.container),
    variables: form.variables.filter(row => row.name || row.value),
    folders: form.folders.filter(row => row.host || row.container)
  };
}

/**
 * What can be seen to be wrong before the server is asked.
 *
 * Only what could not be said to the server at all, since the server says the rest better.
 */
export function check(form: Form, words: FormWords): Problems {
  const problems = new Map<string, string>();
  const rows = begun(form);
  if (!form.image.trim()) {
    problems.set('image', words.required);
  }
  const seen = new Set<string>();
  for (const row of rows.ports) {
    if (!isPort(row.container)) {
      problems.set(`ports#${row.key}.container`, words.port);
    }
    // Without a port of the host the server picks a free one.
    if (row.host.trim() && !isPort(row.host)) {
      problems.set(`ports#${row.key}.host`, words.port);
    }
    const name = portName(row);
    if (seen.has(name)) {
      problems.set(`ports#${row.key}.container`, words.twice);
    }
    seen.add(name);
  }
  const names = new Set<string>();
  for (const row of rows.variables) {
    const name = row.name.trim();
    if (!name) {
      problems.set(`variables#${row.key}.name`, words.required);
    } else if (names.has(name)) {
      problems.set(`variables#${row.key}.name`, words.twice);
    }
    names.add(name);
  }
  for (const row of rows.folders) {
    if (!row.host.trim()) {
      problems.set(`folders#${row.key}.host`, words.required);
    }
    if (!row.container.trim()) {
      problems.set(`folders#${row.key}.container`, words.required);
    }
  }
  for (const name of ['cpu', 'memory'] as const) {
    const text = form[name].trim();
    if (text && !(Number(text) > 0)) {
      problems.set(name, words.number);
    }
  }
  return problems;
}

/**
 * The request that the form stands for.
 *
 * @param enterable - Whether the image's containers take ssh, JupyterLab and TensorBoard.
 */
export function toRequest(form: Form, enterable = false): NewContainer {
  const rows = begun(form);
  const cpu = Number(form.cpu.trim());
  const mem = Number(form.memory.trim());
  const command = form.command.trim();
  return {
    name: form.name.trim(),
    image: form.image.trim(),
    ports: Object.fromEntries(
      rows.ports.map(row => [portName(row), Number(row.host) || null])
    ),
    environment: Object.fromEntries(
      rows.variables.map(row => [row.name.trim(), row.value])
    ),
    volumes: rows.folders.map(row => ({
      host_path: row.host.trim(),
      container_path: row.container.trim(),
      read_only: row.readOnly
    })),
    ...(cpu > 0 ? { cpu } : {}),
    ...(mem > 0 ? { mem } : {}),
    ...(form.gpu
      ? {
          gid: form.gpu === 'auto' ? 'auto' : Number(form.gpu),
          wait: form.wait
        }
      : {}),
    ...(enterable && form.connect ? { connect: true } : {}),
    ...(command ? { command } : {})
  };
}

/** The server's names of plain fields, by ours. */
const PLAIN: Readonly<Record<string, string>> = {
  image: 'image',
  name: 'name',
  command: 'command',
  cpu: 'cpu',
  mem: 'memory',
  memory: 'memory',
  gid: 'gpu',
  count: 'gpu'
};

/**
 * Put the server's problems beside the fields that they are about.
 *
 * @returns the problems by place, and those that belong to no field of the form.
 */
export function place(
  form: Form,
  problems: readonly FieldProblem[]
): { placed: Problems; rest: readonly string[] } {
  const placed = new Map<string, string>();
  const rest: string[] = [];
  for (const { field, message } of problems) {
    const where = placeOf(form, field);
    if (where === null) {
      rest.push(field ? `${field}: ${message}` : message);
    } else {
      const earlier = placed.get(where);
      placed.set(where, earlier ? `${earlier} ${message}` : message);
    }
  }
  return { placed, rest };
}

function placeOf(form: Form, field: string): string | null {
  const [head = '', ...parts] = field.split('.');
  const tail = parts.join('.');
  const plain = PLAIN[head];
  if (plain) {
    return plain;
  }
  const rows = begun(form);
  if (head === 'ports') {
    const row = rows.ports.find(
      port => portName(port) === tail || port.container.trim() === tail
    );
    return row ? `ports#${row.key}.host` : 'ports';
  }
  if (head === 'environment') {
    const row = rows.variables.find(variable => variable.name.trim() === tail);
    return row ? `variables#${row.key}.name` : 'variables';
  }
  if (head === 'volumes') {
    const row = rows.folders[Number(parts[0])];
    const part = parts[1] === 'container_path' ? 'container' : 'host';
    return row && parts[0] !== undefined
      ? `folders#${row.key}.${part}`
      : 'folders';
  }
  return null;
}

function isPort(text: string): boolean {
  const port = Number(text.trim());
  return /^\d+$/.test(text.trim()) && port >= 1 && port <= 65535;
}

function portName(row: PortRow): string {
  return `${row.container.trim()}/${row.protocol}`;
}

/** Read pasted `NAME=value` lines; null where the text is something else. */
export function readVariables(text: string): VariableRow[] | null {
  const lines = text
    .split(/\r?\n/)
    .map(line => line.trim())
    .filter(line => line && !line.startsWith('#'));
  const rows = lines.map(line => {
    const match = /^(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)$/.exec(line);
    return match
      ? newVariable({
          name: match[1] ?? '',
          value: (match[2] ?? '').replace(/^(["'])(.*)\1$/, '$2')
        })
      : null;
  });
  const read = rows.filter(row => row !== null);
  return read.length && read.length === rows.length ? read : null;
}
