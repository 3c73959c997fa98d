import type { FieldProblem, Operation } from './types';

/** A request that the server refused, or that never reached it. */
export class ApiError extends Error {
  constructor(
    message: string,
    readonly status: number,
    readonly problems: readonly FieldProblem[] = []
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
  readonly error?: { readonly message?: string } | string;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return null;
  }
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
    throw new ApiError(message, status, envelope.errors ?? []);
  }
  const wrapped = envelope.code !== undefined && 'data' in envelope;
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
