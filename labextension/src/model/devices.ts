import { ApiError } from './reply';
import type { FieldProblem } from './types';

/** The number of the machine that the server runs on. */
export const LOCAL_DEVICE = 1;

export type DeviceState =
  'ready' | 'draining' | 'lost' | 'no-address' | 'down' | 'left';

/** A host with an engine, word for word as the server sends it to administrators. */
export interface Device {
  readonly did: number;
  readonly name: string;
  readonly state: DeviceState;
  /** Null where nobody knows. */
  readonly since: string | null;
  /** Why it can't be reached. */
  readonly problem: string | null;
  readonly address: string | null;
  /** Its id in the swarm. */
  readonly node: string | null;
  readonly bind_address: string;
  readonly cpu_name: string;
  readonly total_cpu: number;
  readonly used_cpu: number;
  /** Bytes. */
  readonly total_memory: number;
  readonly used_memory: number;
  readonly gpus: readonly number[];
  readonly used_gpus: readonly number[];
  /** How many containers are on it, of everybody. */
  readonly containers: number;
}

export interface NewDevice {
  readonly name: string;
  readonly address: string;
  readonly host_key?: string;
  readonly certificates?: string;
  readonly bind_address?: string;
}

export type DeviceChange = Partial<NewDevice> & { readonly draining?: boolean };

/** The key that a host shows, and the address where it shows it. */
export interface ShownKey {
  readonly address: string;
  readonly fingerprint: string;
}

/** A device as the form asks for it. */
export interface DeviceWish {
  /** The one that is changed; null for a new one. */
  readonly device: Device | null;
  readonly name: string;
  readonly address: string;
  readonly certificates: string;
  readonly bindAddress: string;
  /** The key that was confirmed. */
  readonly trusted: ShownKey | null;
}

/** Fields of the form, as the server calls them. */
export const DEVICE_FIELDS = [
  'name',
  'address',
  'host_key',
  'certificates',
  'bind_address'
] as const;

export function emptyWish(): DeviceWish {
  return {
    device: null,
    name: '',
    address: '',
    certificates: '',
    bindAddress: '',
    trusted: null
  };
}

/** What the form begins with where a device is changed. */
export function wishOf(device: Device): DeviceWish {
  return {
    ...emptyWish(),
    device,
    name: device.name,
    address: device.address ?? '',
    bindAddress: device.did === LOCAL_DEVICE ? '' : device.bind_address
  };
}

/** How an address leads to an engine; null while it is not written. */
export function wayOf(address: string): 'ssh' | 'tls' | null {
  const [scheme = ''] = address.trim().toLowerCase().split('://');
  return scheme === 'ssh'
    ? 'ssh'
    : scheme === 'tcp' || scheme === 'https'
      ? 'tls'
      : null;
}

/** Words that the caller translates. */
export interface DeviceWords {
  readonly required: string;
  readonly certificates: string;
}

/** What can be seen to be wrong before the server is asked, which says the rest. */
export function checkDevice(
  wish: DeviceWish,
  words: DeviceWords
): Record<string, string> {
  const problems: Record<string, string> = {};
  if (!wish.name.trim()) {
    problems['name'] = words.required;
  }
  if (!wish.device && !wish.address.trim()) {
    problems['address'] = words.required;
  }
  const moved = wish.address.trim() !== (wish.device?.address ?? '');
  const bare = wayOf(wish.address) === 'tls' && !wish.certificates.trim();
  if (moved && bare) {
    problems['certificates'] = words.certificates;
  }
  return problems;
}

/** The key that was confirmed, where it is of the address that is written now. */
export function trustedKey(wish: DeviceWish): string | undefined {
  const { address, trusted } = wish;
  return wayOf(address) === 'ssh' && trusted?.address === address.trim()
    ? trusted.fingerprint
    : undefined;
}

function trustOf(wish: DeviceWish): DeviceChange {
  const key = trustedKey(wish);
  const certificates = wish.certificates.trim();
  return {
    ...(key !== undefined && { host_key: key }),
    ...(wayOf(wish.address) === 'tls' && certificates && { certificates })
  };
}

export function toNewDevice(wish: DeviceWish): NewDevice {
  const bind = wish.bindAddress.trim();
  return {
    name: wish.name.trim(),
    address: wish.address.trim(),
    ...trustOf(wish),
    ...(bind && { bind_address: bind })
  };
}

/** What of a device is to be other than it is. */
export function toChange(wish: DeviceWish, device: Device): DeviceChange {
  const name = wish.name.trim();
  const address = wish.address.trim();
  const bind = wish.bindAddress.trim();
  return {
    ...(name !== device.name && { name }),
    ...(address && address !== device.address && { address }),
    ...trustOf(wish),
    ...(bind && bind !== device.bind_address && { bind_address: bind })
  };
}

const FINGERPRINT = /SHA256:[A-Za-z0-9+/]{43}/;

/**
 * A refusal as the form shows it: each problem at its field, and the key that is to be confirmed.
 *
 * @param confirm - What to say at a key that nobody has confirmed yet.
 * @returns whatever was no refusal as it is.
 */
export function refusalOf(
  reason: unknown,
  wish: DeviceWish,
  confirm: string
): unknown {
  if (!(reason instanceof ApiError) || reason.status < 400) {
    return reason;
  }
  const { details, message, status } = reason;
  const key = details['host_key'];
  if (typeof key === 'string' && trustedKey(wish) === undefined) {
    const fingerprint = FINGERPRINT.exec(key)?.[0];
    if (fingerprint !== undefined) {
      const shown: ShownKey = { address: wish.address.trim(), fingerprint };
      const problem = { field: 'host_key', message: confirm };
      return new ApiError(message, status, [problem], { shown });
    }
  }
  if (reason.problems.length) {
    return reason;
  }
  // The key is another one than was confirmed: the whole text says what that means.
  const named: FieldProblem[] =
    typeof key === 'string'
      ? [{ field: 'host_key', message }]
      : DEVICE_FIELDS.flatMap(field => {
          const problem = details[field];
          return typeof problem === 'string'
            ? [{ field, message: problem }]
            : [];
        });
  // Who does not answer is wrong of address, as far as anybody can tell.
  const problems =
    !named.length && status === 503 ? [{ field: 'address', message }] : named;
  return new ApiError(message, status, problems, details);
}
