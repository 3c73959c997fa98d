import type { FieldProblem, Operation } from './types';

/** A request that the server refused, or that never reached it. */
export class ApiError extends Error {
  constructor(
    message: string,
    readonly status: number,
    readonly problems: readonly FieldProblem[] = [],
    /** Facts about it, by name. */
    readonly details: Readonly<Record<string, unknown>> = {}
  ) {
    super(message);
    this.name = 'ApiError';
  }
}

/** What came of a call: its result, or the operation that will bring it. */
export type Outcome<T> =
  | { readonly done: true; readonly data: T }
  | { readonly done: false; readonly operation: Operation };

interface Envelope {
  readonly code?: number;
  readonly message?: string;
  readonly data?: unknown;
  readonly errors?: readonly FieldProblem[];
  readonly success?: boolean;
  readonly error?:
    | {
        readonly message?: string;
        readonly details?: Readonly<Record<string, unknown>> | string;
      }
    | string;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return null;
  }
}

/** What is wrong with which field, in the dialects that tell it among the facts. */
function fieldsOf(details: Readonly<Record<string, unknown>>): FieldProblem[] {
  return Object.entries(details).flatMap(([field, message]) =>
    typeof message === 'string' ? [{ field, message }] : []
  );
}

/**
 * Read a reply of any of the server's dialects.
 *
 * @throws ApiError, with the problems of each field where the server named them.
 */
export function readReply<T>(status: number, text: string): Outcome<T> {
  const body = parse(text);
  const envelope = (
    typeof body === 'object' && body !== null ? body : {}
  ) as Envelope;
  if (status >= 400) {
    const error = envelope.error;
    const message =
      envelope.message ??
      (typeof error === 'string' ? error : error?.message) ??
      `The server answered with status ${status}.`;
    const told = typeof error === 'object' ? error.details : undefined;
    const details = typeof told === 'object' ? told : {};
    const problems = status === 400 ? fieldsOf(details) : [];
    throw new ApiError(message, status, envelope.errors ?? problems, details);
  }
  const wrapped =
    (envelope.code ?? envelope.success) !== undefined && 'data' in envelope;
  const data = wrapped ? envelope.data : body;
  if (status === 202) {
    return { done: false, operation: data as Operation };
  }
  return { done: true, data: data as T };
}

/**
 * An error's words for a person.
 *
 * @param away - What to say where the server never answered: browsers' own words help nobody.
 */
export function wordsOf(reason: unknown, away?: string): string {
  if (away !== undefined && reason instanceof ApiError && !reason.status) {
    return away;
  }
  return reason instanceof Error ? reason.message : String(reason);
}
