import { Dialog, Notification, showDialog } from '@jupyterlab/apputils';

import {
  checkDevice,
  Device,
  DEVICE_FIELDS,
  DeviceWish,
  emptyWish,
  refusalOf,
  toChange,
  toNewDevice,
  wishOf
} from '../model/devices';
import type { Desk } from '../view/desk';
import { DeviceForm } from '../view/DeviceForm';
import { RemoveDevice, RemoveWish } from '../view/RemoveDevice';
import { askForm } from './formdialog';

/** Ask for a host, and add it once its key is confirmed. */
export async function addDevice(desk: Desk): Promise<void> {
  const { devices, trans } = desk;
  await askForm<DeviceWish, Device>(desk, {
    title: trans.__('Add a device'),
    accept: trans.__('Add the device'),
    values: emptyWish(),
    ...asking(desk),
    send: telling(desk, wish => devices.add(toNewDevice(wish)))
  });
}

/** Ask what of a device shall be other than it is, and change it. */
export async function changeDevice(desk: Desk, device: Device): Promise<void> {
  const { devices, trans } = desk;
  await askForm<DeviceWish, Device>(desk, {
    title: trans.__('Change %1', device.name),
    accept: trans.__('Change the device'),
    values: wishOf(device),
    ...asking(desk),
    send: telling(desk, wish =>
      devices.change(device.did, toChange(wish, device))
    )
  });
}

/** What both forms have. */
function asking(desk: Desk) {
  const { trans } = desk;
  return {
    form: DeviceForm,
    fields: DEVICE_FIELDS,
    check: (wish: DeviceWish) =>
      checkDevice(wish, {
        required: trans.__('This is needed.'),
        certificates: trans.__(
          'These are needed: without TLS everybody on the network is root there.'
        )
      })
  };
}

/** Send a wish, and have its refusal told at the fields that it is about. */
function telling(
  desk: Desk,
  send: (wish: DeviceWish) => Promise<Device>
): (wish: DeviceWish) => Promise<Device> {
  const confirm = desk.trans.__('Confirm that this is the host’s key.');
  return async wish => {
    try {
      return await send(wish);
    } catch (reason) {
      throw refusalOf(reason, wish, confirm);
    }
  };
}

/** Ask before nothing new is placed on a device. */
export async function drainDevice(desk: Desk, device: Device): Promise<void> {
  const { devices, trans } = desk;
  const { button } = await showDialog({
    title: trans.__('Drain %1?', device.name),
    body: [
      trans.__('Nothing new is placed on it until it is taken back into use.'),
      device.containers
        ? trans._n(
            '%1 container that is on it runs on.',
            '%1 containers that are on it run on.',
            device.containers
          )
        : trans.__('No container is on it.')
    ].join(' '),
    buttons: [
      Dialog.cancelButton(),
      Dialog.okButton({ label: trans.__('Drain') })
    ]
  });
  if (button.accept) {
    await devices.change(device.did, { draining: true });
  }
}

/** Place containers on a device again; a swarm may have another opinion. */
export async function resumeDevice(desk: Desk, device: Device): Promise<void> {
  const { devices, trans } = desk;
  const after = await devices.change(device.did, { draining: false });
  if (after.state === 'draining') {
    Notification.warning(
      // What is longer is cut off.
      trans.__(
        'The swarm still drains %1: docker node update --availability active %2',
        after.name,
        after.node ?? ''
      ),
      { autoClose: false }
    );
  }
}

/** Look again which GPUs a device has, and say how many. */
export async function findDeviceGpus(
  desk: Desk,
  device: Device
): Promise<void> {
  const { devices, trans } = desk;
  const looking = devices.findGpus(device.did);
  const id = Notification.emit(
    trans.__('Looking for the GPUs of %1…', device.name),
    'in-progress',
    { autoClose: false }
  );
  try {
    const { gpus } = await looking;
    Notification.success(
      trans._n('%2 has %1 GPU.', '%2 has %1 GPUs.', gpus.length, device.name),
      { autoClose: 5000 }
    );
  } finally {
    Notification.dismiss(id);
  }
}

/** Say what is lost with a device, and remove it; ask again where the server refuses. */
export async function removeDevice(desk: Desk, device: Device): Promise<void> {
  const { devices, trans } = desk;
  await askForm<RemoveWish, unknown>(desk, {
    title: trans.__('Remove %1?', device.name),
    accept: trans.__('Remove'),
    warn: true,
    values: { device, force: false },
    form: RemoveDevice,
    fields: [''],
    send: ({ force }) => devices.remove(device.did, force)
  });
}
