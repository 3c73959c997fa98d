import type { JupyterFrontEnd } from '@jupyterlab/application';
import { addIcon, deleteIcon, editIcon } from '@jupyterlab/ui-components';

import { Arguments, pointed, telling } from './commandtools';
import { Device, LOCAL_DEVICE } from './model/devices';
import { isAdministrator } from './model/people';
import { CommandIDs } from './tokens';
import type { Desk } from './view/desk';
import {
  addDevice,
  changeDevice,
  drainDevice,
  findDeviceGpus,
  removeDevice,
  resumeDevice
} from './widgets/devicedialogs';

/** Add the commands about devices, which are administrators' alone. */
export function addDeviceCommands(app: JupyterFrontEnd, desk: Desk): void {
  const { devices, people, trans } = desk;
  const { commands } = app;
  const isAdmin = () => isAdministrator(people.state.me);
  const at = (args: Arguments): Device | undefined => {
    const did = args['did'] ?? pointed(app, args, 'device');
    return devices.state.items?.get(Number(did));
  };

  commands.addCommand(CommandIDs.addDevice, {
    label: trans.__('Add Device…'),
    icon: addIcon,
    isVisible: isAdmin,
    isEnabled: isAdmin,
    execute: () => addDevice(desk)
  });

  const deeds = [
    {
      id: CommandIDs.changeDevice,
      label: trans.__('Change…'),
      icon: editIcon,
      failed: (name: string) => trans.__('%1 was not changed', name),
      act: changeDevice
    },
    {
      id: CommandIDs.drainDevice,
      label: trans.__('Drain…'),
      failed: (name: string) => trans.__('%1 is not drained', name),
      act: drainDevice
    },
    {
      id: CommandIDs.resumeDevice,
      label: trans.__('Take Back into Use'),
      failed: (name: string) => trans.__('%1 is not taken back', name),
      act: resumeDevice
    },
    {
      id: CommandIDs.findDeviceGpus,
      label: trans.__('Look for GPUs Again'),
      failed: (name: string) =>
        trans.__('The GPUs of %1 were not looked for', name),
      act: findDeviceGpus,
      far: true
    },
    {
      id: CommandIDs.removeDevice,
      label: trans.__('Remove…'),
      icon: deleteIcon,
      failed: (name: string) => trans.__('%1 was not removed', name),
      act: removeDevice,
      far: true
    }
  ];
  for (const { id, label, icon, failed, act, far } of deeds) {
    commands.addCommand(id, {
      label,
      ...(icon && { icon }),
      isEnabled: args => {
        const device = at(args);
        // This machine's own engine is no other's to remove, and its driver is asked all the time.
        return Boolean(device && !(far && device.did === LOCAL_DEVICE));
      },
      execute: async args => {
        const device = at(args);
        if (device) {
          await telling(desk, failed(device.name), act(desk, device));
        }
      }
    });
  }
}
