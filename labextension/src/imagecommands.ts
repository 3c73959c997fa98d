import type { JupyterFrontEnd } from '@jupyterlab/application';
import {
  copyIcon,
  deleteIcon,
  runIcon,
  usersIcon
} from '@jupyterlab/ui-components';

import { chooseImage } from './choose';
import { copyText } from './clipboard';
import type { Tabs } from './commands';
import { Arguments, named, pointed, telling } from './commandtools';
import { imageIcon, pullIcon } from './icons';
import { imageTitle } from './model/reference';
import { hasEnded } from './model/types';
import { CommandIDs } from './tokens';
import type { Desk } from './view/desk';
import { showProgress } from './widgets/progressdialog';
import { PullDialog } from './widgets/pulldialog';
import { confirmRemoveImage } from './widgets/removedialog';
import { shareImage } from './widgets/sharedialog';

/** Add the commands about images, and about work under way. */
export function addImageCommands(
  app: JupyterFrontEnd,
  desk: Desk,
  tabs: Tabs
): void {
  const { actions, store, trans } = desk;
  const { commands } = app;
  const imageOf = (args: Arguments): string | null =>
    typeof args['id'] === 'string' ? args['id'] : pointed(app, args, 'image');
  const operationOf = (args: Arguments) =>
    typeof args['id'] === 'string'
      ? store.state.operations.get(args['id'])
      : undefined;

  commands.addCommand(CommandIDs.pull, {
    label: trans.__('Pull Image…'),
    icon: pullIcon,
    execute: async () => {
      const dialog = new PullDialog(desk);
      await dialog.launch();
      const { operation } = dialog;
      if (operation) {
        await telling(desk, operation.subject, showProgress(desk, operation));
      }
    }
  });
  commands.addCommand(CommandIDs.run, {
    label: named(
      trans.__('New Container…'),
      trans.__('New Container from Image…')
    ),
    icon: runIcon,
    execute: async args => {
      const title = trans.__('From which image?');
      const image = await chooseImage(desk, imageOf(args), title);
      if (image) {
        tabs.create(imageTitle(image));
      }
    }
  });
  commands.addCommand(CommandIDs.copyTag, {
    label: trans.__('Copy Name'),
    icon: copyIcon,
    execute: async args => {
      const id = imageOf(args);
      const image = id === null ? null : await chooseImage(desk, id, '');
      if (image) {
        copyText(image.tags[0] ?? image.id);
      }
    }
  });
  commands.addCommand(CommandIDs.shareImage, {
    label: named(trans.__('Share…'), trans.__('Share Image…')),
    icon: usersIcon,
    execute: async args => {
      const title = trans.__('Share which image?');
      const image = await chooseImage(desk, imageOf(args), title);
      if (image) {
        await shareImage(desk, image);
      }
    }
  });
  commands.addCommand(CommandIDs.removeImage, {
    label: named(trans.__('Delete…'), trans.__('Delete Image…')),
    icon: deleteIcon,
    execute: async args => {
      const title = trans.__('Delete which image?');
      const image = await chooseImage(desk, imageOf(args), title);
      if (image && (await confirmRemoveImage(desk, image))) {
        const failed = trans.__('%1 was not deleted', imageTitle(image));
        await telling(desk, failed, actions.removeImage(image));
      }
    }
  });
  commands.addCommand(CommandIDs.progress, {
    label: trans.__('Show Progress'),
    icon: imageIcon,
    execute: async args => {
      const operation = operationOf(args);
      if (operation) {
        await telling(desk, operation.subject, showProgress(desk, operation));
      }
    }
  });
  commands.addCommand(CommandIDs.cancel, {
    label: trans.__('Cancel'),
    execute: async args => {
      const operation = operationOf(args);
      if (operation && !hasEnded(operation)) {
        await telling(desk, operation.subject, actions.cancel(operation));
      }
    }
  });
}
