import { ApiError } from './reply';

/** Milliseconds between attempts. */
const WAITS = [300, 700, 1500, 3000];

/**
 * Try a request again that never got its answer, or whose first attempt is still being answered.
 *
 * A container that starts or stops brings a network interface up or down, at which browsers on the
 * same machine break off what is on its way. Every attempt carries the same `Idempotency-Key`, so
 * nothing is done twice.
 *
 * @param attempt - Makes the request; gets told whether it is the first time.
 */
export async function insist<T>(
  attempt: (first: boolean) => Promise<T>,
  waits: readonly number[] = WAITS
): Promise<T> {
  for (const [index, wait] of waits.entries()) {
    try {
      return await attempt(index === 0);
    } catch (reason) {
      if (!isUnanswered(reason)) {
        throw reason;
      }
      await new Promise(resolve => setTimeout(resolve, wait));
    }
  }
  return attempt(false);
}

function isUnanswered(reason: unknown): boolean {
  return (
    reason instanceof ApiError &&
    (reason.status === 0 ||
      (reason.status === 409 && reason.message.includes('Idempotency-Key')))
  );
}
