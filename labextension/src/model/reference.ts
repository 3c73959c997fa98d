import type { Image } from './types';

/** An image's tag, or the start of its id where it has none. */
export function imageTitle(image: Pick<Image, 'tags' | 'id'>): string {
  return image.tags[0] ?? image.id.replace(/^sha256:/, '').slice(0, 12);
}

/** The image that goes by a name as a person types it. */
export function imageNamed(
  images: readonly Image[],
  name: string
): Image | undefined {
  const typed = name.trim();
  return images.find(({ tags }) =>
    tags.some(tag => tag === typed || tag === `${typed}:latest`)
  );
}

/**
 * An image's name apart from the registry that it comes from, so that a narrow place shows the name.
 *
 * The folder that its owner's own images lie in is left out.
 */
export function splitName(name: string): { registry: string; title: string } {
  const match = /^([^/]*[.:][^/]*|localhost)\/(.+)$/.exec(name);
  const title = match?.[2] ?? name;
  return {
    registry: match?.[1] ?? '',
    title: title.replace(/^jupyter-ext\/[^/]+\//, '')
  };
}

/** A name for a container of an image that no other has: `nginx`, `nginx-2`. */
export function proposeName(image: string, taken: ReadonlySet<string>): string {
  const last = image.replace(/@.*$/, '').split('/').at(-1) ?? '';
  const base = last
    .replace(/:.*$/, '')
    .replace(/[^A-Za-z0-9_.-]/g, '-')
    .replace(/^[^A-Za-z0-9]+/, '')
    .slice(0, 50);
  if (!base || !taken.has(base)) {
    return base;
  }
  for (let number = 2; ; number += 1) {
    const name = `${base}-${number}`;
    if (!taken.has(name)) {
      return name;
    }
  }
}
