import type { JupyterFrontEnd } from '@jupyterlab/application';
import { Dialog, Notification, showDialog } from '@jupyterlab/apputils';
import * as React from 'react';

import { Arguments, telling } from './commandtools';
import { pageAddress } from './model/connection';
import { DATABASES, OWN_SERVICE, type ServiceAction } from './model/services';
import { CommandIDs } from './tokens';
import { Desk, DeskWidget } from './view/desk';
import { ServiceLog } from './view/ServiceLog';

/** Add the commands about services, and tell of what is going to happen to the server. */
export function addServiceCommands(app: JupyterFrontEnd, desk: Desk): void {
  const { actions, services, trans } = desk;
  const nameOf = (args: Arguments): string =>
    typeof args['service'] === 'string' ? args['service'] : '';
  const isOne = (args: Arguments): boolean =>
    Boolean(services.state.items?.has(nameOf(args)));

  services.warned.connect((_, { message }) => {
    Notification.warning(message, { autoClose: 20_000 });
  });

  const deeds: ReadonlyArray<
    readonly [string, ServiceAction, string, (name: string) => string]
  > = [
    [
      CommandIDs.startService,
      'start',
      trans.__('Start'),
      name => trans.__('%1 was not started', name)
    ],
    [
      CommandIDs.stopService,
      'stop',
      trans.__('Stop'),
      name => trans.__('%1 was not stopped', name)
    ],
    [
      CommandIDs.restartService,
      'restart',
      trans.__('Restart'),
      name => trans.__('%1 was not restarted', name)
    ]
  ];
  for (const [id, action, label, failed] of deeds) {
    app.commands.addCommand(id, {
      label,
      isEnabled: isOne,
      execute: async args => {
        const name = nameOf(args);
        if (await confirm(desk, name, action)) {
          await telling(desk, failed(name), services.act(name, action));
        }
      }
    });
  }
  app.commands.addCommand(CommandIDs.openService, {
    label: trans.__('Open'),
    isEnabled: isOne,
    execute: async args => {
      const name = nameOf(args);
      const open = async () => {
        const url = await services.open(name);
        const page = pageAddress(url, actions.api.settings.baseUrl);
        // What runs there must not reach back to this page.
        window.open(page, '_blank', 'noopener,noreferrer');
      };
      await telling(desk, trans.__('%1 was not opened', name), open());
    }
  });
  app.commands.addCommand(CommandIDs.serviceLogs, {
    label: trans.__('Logs'),
    isEnabled: isOne,
    execute: async args => {
      const name = nameOf(args);
      await showDialog({
        title: trans.__('Logs of %1', name),
        body: new DeskWidget(desk, () => <ServiceLog name={name} />),
        buttons: [Dialog.okButton({ label: trans.__('Close') })]
      });
    }
  });
}

/** Ask before something ends on which others hang. */
async function confirm(
  desk: Desk,
  name: string,
  action: ServiceAction
): Promise<boolean> {
  const { trans } = desk;
  const restarts = action === 'restart';
  const said: Record<string, readonly [string, string]> = restarts
    ? {
        [OWN_SERVICE]: [
          trans.__('Restart the server?'),
          trans.__(
            'Everybody’s kernels are shut down, and what they hold in memory is lost. This page connects again by itself.'
          )
        ],
        [DATABASES]: [
          trans.__('Restart PostgreSQL?'),
          trans.__(
            'Everybody’s sessions in databases end, and what they have not committed is undone. It is there again in a moment.'
          )
        ]
      }
    : {
        [OWN_SERVICE]: [
          trans.__('Stop the server?'),
          trans.__(
            'Everybody’s kernels are shut down, and this page works no more until the server is started again.'
          )
        ],
        [DATABASES]: [
          trans.__('Stop PostgreSQL?'),
          trans.__(
            'Everybody’s sessions in databases end, what they have not committed is undone, and nobody gets into a database until it is started here again.'
          )
        ]
      };
  const asked = action === 'start' ? undefined : said[name];
  if (asked === undefined) {
    return true;
  }
  const [title, body] = asked;
  const { button } = await showDialog({
    title,
    body,
    buttons: [
      Dialog.cancelButton(),
      Dialog.warnButton({
        label: restarts ? trans.__('Restart') : trans.__('Stop')
      })
    ],
    defaultButton: 0
  });
  return button.accept;
}
