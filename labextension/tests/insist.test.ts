import { describe, expect, it, vi } from 'vitest';

import { insist } from '../src/model/insist';
import { ApiError } from '../src/model/reply';

const broken = new ApiError('Failed to fetch', 0);
const inFlight = new ApiError(
  'The request with this Idempotency-Key is still being answered.',
  409
);

describe('a request that is insisted on', () => {
  it('is made again when it was broken off, until it is answered', async () => {
    const attempt = vi
      .fn<(first: boolean) => Promise<string>>()
      .mockRejectedValueOnce(broken)
      .mockRejectedValueOnce(inFlight)
      .mockResolvedValueOnce('done');
    expect(await insist(attempt, [1, 1, 1])).toBe('done');
    expect(attempt.mock.calls).toEqual([[true], [false], [false]]);
  });

  it('is not made again when the server has refused it', async () => {
    const attempt = vi.fn(() =>
      Promise.reject(new ApiError('The name is taken.', 409))
    );
    await expect(insist(attempt, [1, 1])).rejects.toThrow('taken');
    expect(attempt).toHaveBeenCalledOnce();
  });

  it('fails in the end when nobody answers', async () => {
    const attempt = vi.fn(() => Promise.reject(broken));
    await expect(insist(attempt, [1, 1])).rejects.toBe(broken);
    expect(attempt).toHaveBeenCalledTimes(3);
  });
});
