import type { Device, DeviceChange, NewDevice } from './devices';
import { ListStore } from './liststore';
import type { Data } from './socket';

/** The tab's picture of the devices by number, and what an administrator does with them. */
export class DeviceStore extends ListStore<Device, number> {
  /** Add a host; it takes as long as looking for its GPUs does. */
  async add(body: NewDevice): Promise<Device> {
    return this.brought(
      await this.api.ask<Device>('POST', 'devices', {}, body)
    );
  }

  async change(did: number, body: DeviceChange): Promise<Device> {
    const path = `devices/${did}`;
    return this.brought(await this.api.ask<Device>('PUT', path, {}, body));
  }

  /** Look again which GPUs a device has. */
  async findGpus(did: number): Promise<Device> {
    return this.brought(
      await this.api.ask<Device>('POST', `devices/${did}/gpus`)
    );
  }

  /**
   * Remove a device.
   *
   * @param force - Also where containers are left on it, which are forgotten.
   */
  async remove(did: number, force: boolean): Promise<void> {
    const query: Record<string, string> = force ? { force: 'true' } : {};
    await this.api.ask('DELETE', `devices/${did}`, query);
    this.drop(did);
  }

  protected readonly topic = 'devices';

  protected keyOf({ did }: Device): number {
    return did;
  }

  protected override begin(data: Data): void {
    this.list(data['devices'] as readonly Device[]);
  }

  /** Each event tells of all of them. */
  protected heed(data: Data): void {
    this.begin(data);
  }

  /** Take a device that a reply brought, ahead of the others' news. */
  private brought(device: Device): Device {
    if (this.state.items) {
      this.put(device);
    }
    return device;
  }
}
