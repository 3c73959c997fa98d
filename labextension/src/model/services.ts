export type ServiceAction = 'start' | 'stop' | 'restart';

/** A service, word for word as the server sends it. */
export interface Service {
  readonly name: string;
  readonly status: string;
  readonly port: number | null;
  readonly pid: number | null;
  /** Seconds; events don't tell it, nor the memory. */
  readonly uptime: number | null;
  readonly memory_bytes: number | null;
  readonly kind: string;
  readonly actions: readonly ServiceAction[];
  /** Whether it has a page that can be opened now. */
  readonly opens: boolean;
  readonly problem: string | null;
}

/** What is going to happen to the server itself. */
export interface ServiceWarning {
  readonly event: 'stop' | 'restart';
  readonly message: string;
}

/** The server that this page comes from. */
export const OWN_SERVICE = 'jupyter';

/** Everybody's databases. */
export const DATABASES = 'postgres';

const RUNNING = ['running', 'starting', 'restarting', 'stopping'];

/** What somebody can have a service do in its state. */
export function offered(service: Service): readonly ServiceAction[] {
  const runs = RUNNING.includes(service.status);
  return service.actions.filter(action =>
    action === 'start' ? !runs : runs || service.status === 'failed'
  );
}
