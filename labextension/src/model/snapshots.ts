export const GROUPS = ['databases', 'files', 'containers'] as const;

/** What a snapshot is asked to hold. */
export type Group = (typeof GROUPS)[number];

/** One thing that a snapshot holds, or could have held. */
export interface Part {
  /** By which a restore asks for it: `database:mydb`. */
  readonly name: string;
  readonly kind: 'cluster' | 'database' | 'files' | 'container';
  readonly state: 'kept' | 'left_out' | 'gone';
  /** Why it is left out, gone, or not complete. */
  readonly reason: string | null;
  readonly size_bytes: number;
  readonly stored_bytes: number;
  /** Of databases: to which they are restored. */
  readonly moment: string | null;
  /** The folder of the files; the container's image. */
  readonly place: string | null;
  /** What belongs to it and is not kept, and what a restore makes of that. */
  readonly not_in_it: readonly string[];
}

/** The state of somebody's workspace at a moment, word for word as the server sends it. */
export interface Snapshot {
  readonly name: string;
  readonly description: string;
  readonly owner: string;
  readonly created_at: string;
  readonly size_bytes: number;
  readonly stored_bytes: number;
  readonly parts: readonly Part[];
}

/** A snapshot to be; without `parts`, of all that there is. */
export interface NewSnapshot {
  readonly name: string;
  readonly description: string;
  readonly parts?: readonly Group[];
}

/** What a restore did. */
export interface RestoredSnapshot {
  readonly name: string;
  readonly parts: readonly string[];
  /** The snapshot that holds what was there before. */
  readonly kept: string;
  /** By database the one that has what was there before; of the whole cluster the folder. */
  readonly kept_databases: Readonly<Record<string, string>>;
}

/** What a deletion gave back. */
export interface DeletedSnapshot {
  readonly freed_bytes: number;
  /** Images that stay, since containers are based on them. */
  readonly left: readonly string[];
}

/** The name of the database or container that a part is: `mydb`. */
export function thingOf({ name }: Part): string {
  return name.slice(name.indexOf(':') + 1);
}

/** The parts that can be restored. */
export function restorable({ parts }: Snapshot): readonly Part[] {
  return parts.filter(({ state }) => state === 'kept');
}

/** The body of a request, of what was written and chosen. */
export function toNewSnapshot(wish: {
  readonly name: string;
  readonly description: string;
  readonly groups: readonly Group[];
}): NewSnapshot {
  const parts = GROUPS.filter(group => wish.groups.includes(group));
  return {
    name: wish.name.trim(),
    description: wish.description.trim(),
    ...(parts.length < GROUPS.length && { parts })
  };
}
