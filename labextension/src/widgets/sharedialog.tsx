import { imageTitle } from '../model/reference';
import { namesIn } from '../model/sharing';
import type { Image } from '../model/types';
import type { Desk } from '../view/desk';
import { ShareForm, ShareWish } from '../view/ShareForm';
import { askForm } from './formdialog';

/** Ask who may use an image, and share it with them. */
export async function shareImage(desk: Desk, image: Image): Promise<void> {
  const { actions, trans } = desk;
  await askForm<ShareWish, unknown>(desk, {
    title: trans.__('Share %1', imageTitle(image)),
    accept: trans.__('Share'),
    values: { users: image.shared_with, written: '' },
    form: ShareForm,
    fields: ['username'],
    send: ({ users, written }) =>
      actions.shareImage(image, [...users, ...namesIn(written)])
  });
}
