/** The names in a text, with commas or spaces between them, each once. */
export function namesIn(text: string): readonly string[] {
  return [...new Set(text.split(/[\s,;]+/).filter(Boolean))];
}

/** Whom to share with and whom to take it back from, so that `now` becomes `wanted`. */
export function sharing(
  now: readonly string[],
  wanted: readonly string[]
): { readonly add: readonly string[]; readonly remove: readonly string[] } {
  return {
    add: wanted.filter(name => !now.includes(name)),
    remove: now.filter(name => !wanted.includes(name))
  };
}
