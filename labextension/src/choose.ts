import { InputDialog, Notification } from '@jupyterlab/apputils';

import { imageTitle } from './model/reference';
import type { Container, Image } from './model/types';
import type { Desk } from './view/desk';

/** The container that a command is about: named, pointed at, or asked for. */
export async function chooseContainer(
  desk: Desk,
  cid: number | null,
  title: string,
  fits: (container: Container) => boolean = () => true
): Promise<Container | null> {
  const { store, trans } = desk;
  const all = [...(store.state.containers?.values() ?? [])];
  if (cid !== null) {
    return store.state.containers?.get(cid) ?? null;
  }
  const fitting = all.filter(fits);
  if (!fitting.length) {
    Notification.info(trans.__('There is no container to choose.'), {
      autoClose: 5000
    });
    return null;
  }
  const names = fitting.map(({ name, cid }) =>
    // Names are unique for a user, not for an administrator's view of all.
    all.some(other => other.name === name && other.cid !== cid)
      ? `${name} (${cid})`
      : name
  );
  const { value } = await InputDialog.getItem({ title, items: names });
  return value === null ? null : (fitting[names.indexOf(value)] ?? null);
}

/** The image that a command is about: named, pointed at, or asked for. */
export async function chooseImage(
  desk: Desk,
  id: string | null,
  title: string
): Promise<Image | null> {
  const images = [...(desk.store.state.images?.values() ?? [])];
  if (id !== null) {
    return images.find(image => image.id === id) ?? null;
  }
  const titles = images.map(imageTitle);
  if (!titles.length) {
    return null;
  }
  const { value } = await InputDialog.getItem({ title, items: titles });
  return value === null ? null : (images[titles.indexOf(value)] ?? null);
}
