/** A file of a container that differs from its image. */
export interface ChangedFile {
  readonly path: string;
  readonly kind: 'added' | 'changed' | 'deleted';
  readonly size: number | null;
}

/** What differs; `size` is in bytes, of those that are listed. */
export interface Changes {
  readonly total: number;
  readonly size: number;
  readonly truncated: boolean;
  readonly items: readonly ChangedFile[];
}

/** The largest files first, and of equal ones by path; folders that only changed in time are left out. */
export function largest(
  { items }: Changes,
  count: number
): readonly ChangedFile[] {
  const parents = new Set(
    items.flatMap(({ path }) => path.slice(0, path.lastIndexOf('/')) || [])
  );
  return items
    .filter(({ path, kind }) => kind === 'deleted' || !parents.has(path))
    .sort(
      (a, b) => (b.size ?? -1) - (a.size ?? -1) || a.path.localeCompare(b.path)
    )
    .slice(0, count);
}
