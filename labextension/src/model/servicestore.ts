import { ISignal, Signal } from '@lumino/signaling';

import { ListStore } from './liststore';
import type { Service, ServiceAction, ServiceWarning } from './services';
import type { Data } from './socket';

/** The tab's picture of the services, and what an administrator does with them. */
export class ServiceStore extends ListStore<Service> {
  /** Emitted before the server ends, with what it says. */
  get warned(): ISignal<this, ServiceWarning> {
    return this._warned;
  }

  /** Ask for all of them, memory and uptime included. */
  override refresh(): Promise<void> {
    return super.refresh({});
  }

  async act(name: string, action: ServiceAction): Promise<void> {
    this.put(await this.api.ask<Service>('POST', pathOf(name, action)));
  }

  /** The end of a service's log. */
  async logs(name: string): Promise<readonly string[]> {
    const { lines } = await this.api.ask<{ lines: readonly string[] }>(
      'GET',
      pathOf(name, 'logs'),
      { tail: '500' }
    );
    return lines;
  }

  /** The address of a service's page, which opens it once. */
  async open(name: string): Promise<string> {
    // Not every name leads from the reader's browser to the page: the server can tell.
    const host = new URL(this.api.settings.baseUrl, location.href).hostname;
    const { url } = await this.api.ask<{ url: string }>(
      'POST',
      pathOf(name, 'open'),
      {},
      { host }
    );
    return url;
  }

  protected readonly topic = 'services';

  protected keyOf({ name }: Service): string {
    return name;
  }

  protected heed(data: Data): void {
    if (data['event'] === 'changed') {
      this.put(data['service'] as Service);
    } else {
      this._warned.emit(data as unknown as ServiceWarning);
    }
  }

  protected override put(service: Service): void {
    const before = this.state.items?.get(service.name);
    // What an event leaves out is still so, for the same process.
    const last = before?.pid === service.pid ? before : undefined;
    super.put({
      ...service,
      uptime: service.uptime ?? last?.uptime ?? null,
      memory_bytes: service.memory_bytes ?? last?.memory_bytes ?? null
    });
  }

  private _warned = new Signal<this, ServiceWarning>(this);
}

function pathOf(name: string, rest: string): string {
  return `services/${encodeURIComponent(name)}/${rest}`;
}
