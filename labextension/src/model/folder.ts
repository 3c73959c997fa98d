/**
 * A folder's full path on the server.
 *
 * @param path - Below the folder that Jupyter serves.
 * @param root - That folder; Jupyter writes the home folder as `~`, which only the server knows.
 * @param roots - Folders that containers may have, in full; one of them tells what `~` is.
 * @returns null where there is no telling.
 */
export function absolute(
  path: string,
  root: string,
  roots: readonly string[]
): string | null {
  // Other drives of the file browser are not folders of the server.
  if (/^[^/]+:/.test(path)) {
    return null;
  }
  const full = root.startsWith('~') ? expanded(root.slice(1), roots) : root;
  if (!full?.startsWith('/')) {
    return null;
  }
  return [full.replace(/\/+$/, ''), path].filter(Boolean).join('/') || '/';
}

/** The full path that ends with `tail`, where a root is that folder or lies below it. */
function expanded(tail: string, roots: readonly string[]): string | undefined {
  for (const root of roots) {
    const at = `${root}/`.indexOf(`${tail}/`);
    if (at >= 0) {
      return root.slice(0, at + tail.length);
    }
  }
  return undefined;
}
