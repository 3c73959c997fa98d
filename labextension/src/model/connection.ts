import type { Ports } from './types';

/** Services that a container which one can get into has. */
export type Service = 'ssh' | 'jupyter' | 'tensorboard';

/** How to get into a container; the password comes only to who asks for it. */
export interface Connection {
  readonly ip: string;
  readonly user: string;
  readonly ports: Readonly<Record<Service, number | null>>;
  readonly has_password: boolean;
  readonly password?: string | null;
}

/** A page of a container's, for a short time. */
export interface OpenPage {
  readonly url: string;
  readonly expires_at: string;
}

const WAYS_IN = ['22/tcp', '8888/tcp', '6006/tcp'];

/** Whether a container has the ports that lead in; a stopped one keeps them. */
export function hasWaysIn(ports: Ports): boolean {
  return WAYS_IN.every(key => typeof ports[key] === 'number');
}

/** What is typed in a terminal; null where there is no such port. */
export function sshCommand({ ip, user, ports }: Connection): string | null {
  return ports.ssh === null ? null : `ssh -p ${ports.ssh} ${user}@${ip}`;
}

/** Whether only programs of the server's own machine reach an address. */
export function isLoopback(ip: string): boolean {
  return /^127\.|^::1$|^localhost$/.test(ip);
}

/**
 * The address of a page that the server named.
 *
 * @throws Error where it is no page: what is opened must not run here.
 */
export function pageAddress(url: string, base: string): string {
  const found = new URL(url, base);
  if (found.protocol !== 'http:' && found.protocol !== 'https:') {
    throw new Error(`${found.protocol} is no page.`);
  }
  return found.href;
}
