import type { IDisposable } from '@lumino/disposable';
import { ISignal, Signal } from '@lumino/signaling';

import type { Api } from './api';
import type { Service, ServiceAction, ServiceWarning } from './services';
import type { EventSocket } from './socket';

/** The services by name, in the server's order; null where they are not shown. */
export type Services = ReadonlyMap<string, Service> | null;

/** The tab's picture of the services, and what an administrator does with them. */
export class ServiceStore {
  constructor(
    private readonly api: Api,
    private readonly socket: EventSocket
  ) {}

  /** Emitted after every change. */
  get changed(): ISignal<this, Services> {
    return this._changed;
  }

  /** Emitted before the server ends, with what it says. */
  get warned(): ISignal<this, ServiceWarning> {
    return this._warned;
  }

  get services(): Services {
    return this._services;
  }

  /** Subscribe in the way that React's `useSyncExternalStore` does. */
  readonly subscribe = (listener: () => void): (() => void) => {
    this._changed.connect(listener);
    return () => this._changed.disconnect(listener);
  };

  /** Hear of the services until the returned handle is disposed. */
  follow(): IDisposable {
    return this.socket.follow({
      topic: 'services',
      onSnapshot: data => this.list(data['items'] as readonly Service[]),
      onEvent: data => {
        if (data['event'] === 'changed') {
          this.put(data['service'] as Service);
        } else {
          this._warned.emit(data as unknown as ServiceWarning);
        }
      },
      onRefused: () => this.set(null)
    });
  }

  /** Ask for all of them, memory and uptime included. */
  async refresh(): Promise<void> {
    const { services } = await this.api.ask<{ services: readonly Service[] }>(
      'GET',
      'services'
    );
    this.list(services);
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

  private list(all: readonly Service[]): void {
    this.set(new Map(all.map(service => [service.name, service])));
  }

  private put(service: Service): void {
    const before = this._services?.get(service.name);
    // What an event leaves out is still so, for the same process.
    const last = before?.pid === service.pid ? before : undefined;
    const known = {
      ...service,
      uptime: service.uptime ?? last?.uptime ?? null,
      memory_bytes: service.memory_bytes ?? last?.memory_bytes ?? null
    };
    this.set(new Map(this._services ?? []).set(service.name, known));
  }

  private set(services: Services): void {
    this._services = services;
    this._changed.emit(services);
  }

  private _services: Services = null;
  private _changed = new Signal<this, Services>(this);
  private _warned = new Signal<this, ServiceWarning>(this);
}

function pathOf(name: string, rest: string): string {
  return `services/${encodeURIComponent(name)}/${rest}`;
}
