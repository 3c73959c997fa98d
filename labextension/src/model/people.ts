/** What the server sends about people, word for word. */

export interface Me {
  readonly id: string;
  readonly username: string;
  readonly role: string;
}

/** Whether everything is open to somebody, devices included. */
export function isAdministrator(me: Me | null): boolean {
  return me?.role === 'admin';
}

export interface User extends Me {
  readonly email: string | null;
  readonly enabled: boolean;
  readonly permissions: readonly string[];
  readonly created_at: string;
  readonly last_login: string | null;
}

export interface NewUser {
  readonly username: string;
  readonly password: string;
  readonly role: string;
  readonly email?: string;
}

export interface UserChange {
  readonly role?: string;
  readonly enabled?: boolean;
}

export interface Role {
  readonly name: string;
  readonly description: string;
}

export interface ApiKey {
  readonly id: string;
  readonly name: string;
  /** How it begins. */
  readonly hint: string;
  /** Null opens all that its owner may do. */
  readonly scopes: readonly string[] | null;
  readonly created_at: string;
  readonly expires_at: string | null;
  readonly last_used_at: string | null;
  readonly owner: string;
}

export interface CreatedApiKey extends ApiKey {
  readonly key: string;
}

export interface NewApiKey {
  readonly name: string;
  readonly expires_at?: string;
  readonly scopes?: readonly string[];
}

/** A limit, null without one, and what is used of it. */
export interface Quota {
  readonly limit: number | null;
  readonly used: number | null;
  readonly limit_text: string | null;
  readonly used_text: string | null;
}

export interface AuditEntry {
  readonly id: number;
  readonly at: string;
  readonly username: string | null;
  readonly credential: string;
  readonly address: string;
  readonly action: string;
  readonly target: string;
  readonly status: number;
  readonly outcome: 'succeeded' | 'refused' | 'failed';
  readonly message: string;
}

/** Entries that are asked for: empty texts leave it open. */
export interface AuditFilter {
  readonly user: string;
  readonly action: string;
}

/** What becomes of a user's things. */
export interface Leaving {
  readonly things: 'refuse' | 'transfer' | 'purge';
  readonly to: string;
}
