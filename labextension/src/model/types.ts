/**
 * What the server sends, word for word: snake case and units as its contract has them.
 */

export type ContainerStatus =
  | 'created'
  | 'running'
  | 'paused'
  | 'restarting'
  | 'removing'
  | 'exited'
  | 'dead'
  | 'lost';

/** Published ports by container port: `{"80/tcp": 8080}`; null is exposed, not published. */
export type Ports = Readonly<Record<string, number | null>>;

/** When a container is stopped for being idle, or for its age; null moments are none. */
export interface Idle {
  readonly since: string | null;
  readonly stops_at: string | null;
  readonly kept_until: string | null;
  readonly warned_at: string | null;
  readonly stopped_at: string | null;
  readonly reason: 'idle' | 'lifetime' | null;
}

export interface Container {
  readonly id: string;
  readonly cid: number;
  readonly name: string;
  readonly status: ContainerStatus;
  readonly image: string;
  readonly iid: number | null;
  readonly created_at: string;
  readonly owner: string;
  readonly ports: Ports;
  /** The number of the device that it is on. */
  readonly device: number;
  /** Null where no rule says how long it may be idle or run. */
  readonly idle?: Idle | null;
  /** The GPUs that it was made with. */
  readonly gpus: readonly number[];
}

export interface Mount {
  readonly host_path: string;
  readonly container_path: string;
  readonly read_only: boolean;
}

export interface ContainerDetail extends Container {
  readonly config: {
    readonly command: readonly string[] | null;
    readonly entrypoint: readonly string[] | null;
    readonly environment: Readonly<Record<string, string>>;
    readonly working_dir: string;
    readonly user: string;
    readonly labels: Readonly<Record<string, string>>;
  };
  readonly mounts: readonly Mount[];
  readonly networks: Readonly<Record<string, { readonly ip?: string }>>;
  readonly state: {
    readonly status: string;
    readonly running: boolean;
    readonly paused: boolean;
    readonly exit_code: number | null;
    readonly error: string | null;
    readonly oom_killed: boolean;
    readonly started_at: string | null;
    readonly finished_at: string | null;
    readonly pid: number | null;
    readonly restart_count: number;
  };
  readonly health: string | null;
  readonly cpu: number | null;
  readonly mem: number | null;
  readonly memory_bytes: number | null;
  readonly restart_policy: string | null;
  readonly startup?: ReadonlyArray<{
    readonly step: string;
    readonly at: string;
    readonly seconds: number;
  }>;
}

export interface Image {
  readonly id: string;
  readonly iid: number;
  readonly tags: readonly string[];
  readonly size: number;
  readonly created_at: string;
  readonly owner: string | null;
  readonly public: boolean;
  /** Users whom its owner shares it with; each of them sees only themself. */
  readonly shared_with: readonly string[];
  /** Its containers take ssh, JupyterLab and TensorBoard. */
  readonly connect: boolean;
}

/** An image to be made of a container. */
export interface NewImage {
  readonly name: string;
  readonly public: boolean;
}

/** Who has a GPU; of somebody else's only since when. */
export interface GpuHolder {
  readonly since: string;
  readonly mine: boolean;
  readonly cid: number | null;
  readonly container: string | null;
  readonly username: string | null;
}

export interface Gpu {
  readonly gid: number;
  readonly device: number;
  readonly device_name: string;
  readonly uuid: string;
  readonly model: string;
  readonly memory: number;
  readonly parent: string | null;
  readonly mode: 'exclusive' | 'shared';
  readonly slots: number;
  readonly free: number;
  readonly present: boolean;
  /** A task of the swarm has it, of which no container here knows. */
  readonly foreign: boolean;
  readonly holders: readonly GpuHolder[];
  readonly utilization: number | null;
  readonly memory_used: number | null;
  readonly temperature: number | null;
  readonly power: number | null;
}

/** One layer of an image on its way: bytes, where the engine tells them. */
export interface Layer {
  readonly id: string;
  readonly status: string;
  readonly current: number | null;
  readonly total: number | null;
}

export type OperationState =
  'pending' | 'running' | 'succeeded' | 'failed' | 'cancelled';

export interface Operation {
  readonly id: string;
  readonly kind: string;
  readonly subject: string;
  readonly state: OperationState;
  readonly progress: number | null;
  readonly message: string | null;
  readonly details?: { readonly layers?: readonly Layer[] } | null;
  /** What it brought about, once it has succeeded. */
  readonly result?: unknown;
  readonly created_at: string;
  readonly started_at: string | null;
  readonly ended_at: string | null;
  readonly error: {
    readonly code: string;
    readonly message: string;
    readonly details?: Readonly<Record<string, unknown>>;
  } | null;
}

export interface Engine {
  readonly available: boolean;
  readonly what: string | null;
  readonly cure: string | null;
}

export interface Account {
  readonly id: string;
  readonly username: string;
  readonly role: string;
}

/** A point of a container's use: percent of one core, and bytes. */
export interface Sample {
  readonly timestamp: string;
  readonly cpu_usage: number;
  readonly memory_usage: number;
  readonly memory_limit?: number;
}

export interface FieldProblem {
  readonly field: string;
  readonly message: string;
}

export interface NewContainer {
  readonly name: string;
  readonly image: string;
  /** By container port; null takes a free port of the host. */
  readonly ports: Ports;
  readonly environment: Readonly<Record<string, string>>;
  readonly volumes: readonly Mount[];
  readonly cpu?: number;
  readonly mem?: number;
  /** The number of a GPU, or any that is free. */
  readonly gid?: number | 'auto';
  /** Wait in the queue where it is not free. */
  readonly wait?: boolean;
  /** With ports and a password for ssh, JupyterLab and TensorBoard. */
  readonly connect?: boolean;
  /** A command line; the server splits it as a shell does. */
  readonly command?: string;
}

/** An operation that will not change any more. */
export function hasEnded(operation: Operation): boolean {
  return operation.state !== 'pending' && operation.state !== 'running';
}

/** A container whose device answers; nothing can be done with another one until it does. */
export function isReached(container: Pick<Container, 'status'>): boolean {
  return container.status !== 'lost';
}

/** A container that a process runs in, so that it can be entered and measured. */
export function isUp(container: Pick<Container, 'status'>): boolean {
  return container.status === 'running' || container.status === 'paused';
}
