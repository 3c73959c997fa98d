/** What a key may be allowed to do, by thing: nothing, to look, or everything. */
export type Reach = 'none' | 'read' | 'all';

/** Things that a key can be limited to. */
export const THINGS = [
  'container',
  'image',
  'metrics',
  'operation',
  'event'
] as const;

export type ThingName = (typeof THINGS)[number];
export type Chosen = Readonly<Partial<Record<ThingName, Reach>>>;

/** Scopes that let a key see everything and change nothing. */
export const LOOK: readonly string[] = [
  ...THINGS.map(thing => `${thing}:read`),
  'system:read'
];

/** The scopes of what was chosen. */
export function scopesOf(chosen: Chosen): string[] {
  return THINGS.flatMap(thing => {
    const reach = chosen[thing] ?? 'none';
    return reach === 'none'
      ? []
      : [`${thing}:${reach === 'all' ? '*' : reach}`];
  });
}

const DAY = 86_400_000;

/** When a key ends: after some days, on a day (its end, here), or never. */
export function expiryOf(
  expires: string,
  date: string,
  now: number
): string | undefined {
  if (expires === 'never') {
    return undefined;
  }
  if (expires === 'date') {
    return new Date(`${date}T23:59:59`).toISOString();
  }
  return new Date(now + Number(expires) * DAY).toISOString();
}

const LETTERS = 'abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789';

/** A password that nobody guesses, of letters that nobody mistakes. */
export function newPassword(length = 16): string {
  const random = new Uint32Array(length);
  crypto.getRandomValues(random);
  return [...random].map(n => LETTERS[n % LETTERS.length] ?? '').join('');
}
