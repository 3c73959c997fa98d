import type { IDisposable } from '@lumino/disposable';
import { ISignal, Signal } from '@lumino/signaling';

import type { Api } from './api';
import type { Device, DeviceChange, NewDevice } from './devices';
import type { EventSocket } from './socket';

/** The devices by number; null until an administrator looks at them. */
export type Devices = ReadonlyMap<number, Device> | null;

/** The tab's picture of the devices, and what an administrator does with them. */
export class DeviceStore {
  constructor(
    private readonly api: Api,
    private readonly socket: EventSocket
  ) {}

  /** Emitted after every change. */
  get changed(): ISignal<this, Devices> {
    return this._changed;
  }

  get devices(): Devices {
    return this._devices;
  }

  /** Subscribe in the way that React's `useSyncExternalStore` does. */
  readonly subscribe = (listener: () => void): (() => void) => {
    this._changed.connect(listener);
    return () => this._changed.disconnect(listener);
  };

  /** Hear of the devices until the returned handle is disposed. */
  follow(): IDisposable {
    const take = (data: Readonly<Record<string, unknown>>) => {
      const all = data['devices'] as readonly Device[];
      this.set(new Map(all.map(device => [device.did, device])));
    };
    return this.socket.follow({
      topic: 'devices',
      onSnapshot: take,
      onEvent: take,
      onRefused: () => this.set(null)
    });
  }

  /** Add a host; it takes as long as looking for its GPUs does. */
  async add(body: NewDevice): Promise<Device> {
    return this.put(await this.api.ask<Device>('POST', 'devices', {}, body));
  }

  async change(did: number, body: DeviceChange): Promise<Device> {
    const path = `devices/${did}`;
    return this.put(await this.api.ask<Device>('PUT', path, {}, body));
  }

  /** Look again which GPUs a device has. */
  async findGpus(did: number): Promise<Device> {
    return this.put(await this.api.ask<Device>('POST', `devices/${did}/gpus`));
  }

  /**
   * Remove a device.
   *
   * @param force - Also where containers are left on it, which are forgotten.
   */
  async remove(did: number, force: boolean): Promise<void> {
    const query: Record<string, string> = force ? { force: 'true' } : {};
    await this.api.ask('DELETE', `devices/${did}`, query);
    const devices = new Map(this._devices ?? []);
    devices.delete(did);
    this.set(devices);
  }

  /** Take a device that a reply brought, ahead of the others' news. */
  private put(device: Device): Device {
    if (this._devices) {
      this.set(new Map(this._devices).set(device.did, device));
    }
    return device;
  }

  private set(devices: Devices): void {
    this._devices = devices;
    this._changed.emit(devices);
  }

  private _devices: Devices = null;
  private _changed = new Signal<this, Devices>(this);
}
