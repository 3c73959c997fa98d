import { ApiError } from './reply';
import type { FieldProblem } from './types';

/** The role to which the cluster itself belongs; it owns what no user owns. */
export const CLUSTER_ROLE = 'dba';

/** A database, word for word as the server sends it. */
export interface Database {
  readonly name: string;
  /** A user, or the cluster's own role. */
  readonly owner: string;
  /** As people write it; null before it was measured. */
  readonly size: string | null;
  readonly size_bytes: number | null;
  readonly size_at: string | null;
  readonly created_at: string | null;
  /** Of what a restore replaced: when it is deleted. */
  readonly kept_until?: string | null;
  /** Every cluster has it, and nobody deletes it. */
  readonly system: boolean;
  /** Its owner's databases are larger than they may be together. */
  readonly over_quota?: boolean;
  /** New sessions in it only read, for that reason. */
  readonly read_only?: boolean;
}

/** How the caller gets into a database. */
export interface DatabaseConnection {
  /** With the password in it. */
  readonly url: string;
  readonly user: string;
  readonly password: string;
}

export interface NewDatabase {
  readonly name: string;
  readonly owner?: string;
  readonly template?: string;
  readonly extensions?: readonly string[];
}

/** A database as the form asks for it. */
export interface DatabaseWish {
  readonly name: string;
  /** Names with commas between them. */
  readonly extensions: string;
  /** Empty: whose it is without a word. */
  readonly owner: string;
  /** Empty: it begins without content. */
  readonly template: string;
}

/** Fields of the form, as the server calls them. */
export const DATABASE_FIELDS = [
  'name',
  'extensions',
  'owner',
  'template'
] as const;

export function toNewDatabase(wish: DatabaseWish): NewDatabase {
  const extensions = wish.extensions
    .split(',')
    .map(each => each.trim())
    .filter(Boolean);
  return {
    name: wish.name.trim(),
    ...(wish.owner && { owner: wish.owner }),
    ...(wish.template && { template: wish.template }),
    ...(extensions.length && { extensions })
  };
}

/** The field that a fact of a refusal is about, where it is about one. */
function fieldOf(fact: string): string | undefined {
  // What the server calls a database that is not there can only be the template.
  return fact === 'database'
    ? 'template'
    : DATABASE_FIELDS.find(field => field === fact);
}

/**
 * A refusal as the form of a database to be shows it: each problem at its field.
 *
 * @returns whatever was no refusal of a field as it is.
 */
export function refusalOf(reason: unknown): unknown {
  if (!(reason instanceof ApiError)) {
    return reason;
  }
  const { details, message, status } = reason;
  let problems: FieldProblem[] = [];
  if (reason.problems.length) {
    const byField = new Map<string, string>();
    for (const problem of reason.problems) {
      // `extensions.2` is one of those that one field holds.
      const [field = ''] = problem.field.split('.');
      const before = byField.get(field);
      byField.set(
        field,
        before ? `${before}; ${problem.message}` : problem.message
      );
    }
    problems = [...byField].map(([field, text]) => ({ field, message: text }));
  } else if (status === 404 || status === 409) {
    // A name that is taken is told in words of its own beside the database's name.
    const facts = Object.keys(details);
    const own = facts.filter(fact => status === 404 || fact !== 'database');
    const field = own.map(fieldOf).find(Boolean);
    problems = field ? [{ field, message }] : [];
  }
  return new ApiError(message, status, problems, details);
}

/** PostgreSQL's own ones last, and by name. */
export function byName(a: Database, b: Database): number {
  return Number(a.system) - Number(b.system) || a.name.localeCompare(b.name);
}

/** Who looks at databases. */
export interface Reader {
  readonly username: string;
  readonly admin: boolean;
}

/** Whether somebody may do with a database what only its owner may: clone it, delete it. */
export function isOwn(database: Database, reader: Reader): boolean {
  return reader.admin || database.owner === reader.username;
}

/** What is listed for somebody: PostgreSQL's own databases are an administrator's matter. */
export function listed(
  databases: Iterable<Database>,
  reader: Reader
): readonly Database[] {
  return [...databases]
    .filter(({ system }) => reader.admin || !system)
    .sort(byName);
}

/** A word of a magic's line as a shell would quote it; those of every day stay as they are. */
export function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word)
    ? word
    : `'${word.replaceAll("'", `'"'"'`)}'`;
}

/** Asks whatever database the kernel is in; whoever has JupySQL need not write any Python. */
const QUERY = `import psycopg

with psycopg.connect() as connection:
    rows = connection.execute("SELECT current_database(), current_user")
    print(rows.fetchall())`;

/** The cells of a notebook that begins in a database, without its password. */
export function cellsOf(name: string): readonly string[] {
  // What begins like an option is none behind two dashes.
  const use = name.startsWith('-') ? `-- ${quoted(name)}` : quoted(name);
  return [`%load_ext jupyter_ext\n%database use ${use}`, QUERY];
}

/** A notebook's content as the contents service takes it. */
export function notebookOf(
  name: string,
  kernel: { readonly name: string; readonly display_name: string } | null
) {
  return {
    nbformat: 4,
    nbformat_minor: 5,
    metadata: kernel
      ? { kernelspec: { ...kernel, language: 'python' } }
      : { language_info: { name: 'python' } },
    cells: cellsOf(name).map((source, index) => ({
      id: `database-${index + 1}`,
      cell_type: 'code',
      source,
      metadata: {},
      execution_count: null,
      outputs: []
    }))
  };
}
