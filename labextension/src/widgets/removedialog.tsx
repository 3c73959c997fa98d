import { Dialog, showDialog } from '@jupyterlab/apputils';
import * as React from 'react';

import { bytes } from '../model/format';
import { imageTitle } from '../model/reference';
import type { Container, Image } from '../model/types';
import { Desk, DeskWidget } from '../view/desk';
import { RemoveContainer } from '../view/RemoveContainer';

/** Ask before a container is deleted, naming what goes with it and what stays. */
export async function confirmRemove(
  desk: Desk,
  container: Container
): Promise<boolean> {
  const { trans } = desk;
  const { button } = await showDialog({
    title: trans.__('Delete %1?', container.name),
    body: new DeskWidget(desk, () => <RemoveContainer container={container} />),
    buttons: [
      Dialog.cancelButton(),
      Dialog.warnButton({ label: trans.__('Delete') })
    ],
    defaultButton: 0
  });
  return button.accept;
}

/** Ask before an image is deleted. */
export async function confirmRemoveImage(
  desk: Desk,
  image: Image
): Promise<boolean> {
  const { trans } = desk;
  const { button } = await showDialog({
    title: trans.__('Delete %1?', imageTitle(image)),
    body: image.tags.length
      ? trans.__(
          'This frees up to %1. The image can be pulled again where a registry has it.',
          bytes(image.size)
        )
      : trans.__('This frees up to %1.', bytes(image.size)),
    buttons: [
      Dialog.cancelButton(),
      Dialog.warnButton({ label: trans.__('Delete') })
    ],
    defaultButton: 0
  });
  return button.accept;
}
