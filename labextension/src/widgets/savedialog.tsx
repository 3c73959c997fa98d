import { Notification } from '@jupyterlab/apputils';

import type { Container, Operation } from '../model/types';
import type { Desk } from '../view/desk';
import { SaveForm, SaveWish } from '../view/SaveForm';
import { askForm } from './formdialog';
import { showProgress } from './progressdialog';

/** Ask what the image shall be, save it, and show how far it is. */
export async function saveAsImage(
  desk: Desk,
  container: Container
): Promise<void> {
  const { actions, store, trans } = desk;
  const { cid, name } = container;
  const operation = await askForm<SaveWish, Operation | null>(desk, {
    title: trans.__('Save %1 as an image', name),
    accept: trans.__('Save'),
    values: { cid, name: '', public: false },
    form: SaveForm,
    fields: ['name'],
    check: wish => ({
      ...(!wish.name.trim() && { name: trans.__('This is needed.') })
    }),
    send: wish =>
      actions.save(container, { name: wish.name.trim(), public: wish.public })
  });
  if (operation) {
    await showProgress(desk, operation);
    if (store.state.operations.get(operation.id)?.state === 'succeeded') {
      Notification.success(
        trans.__('%1 is saved as the image %2.', name, operation.subject),
        { autoClose: 5000 }
      );
    }
  }
}
