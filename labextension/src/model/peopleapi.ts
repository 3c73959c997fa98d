import type { Api } from './api';
import type {
  ApiKey,
  AuditEntry,
  AuditFilter,
  CreatedApiKey,
  Leaving,
  Me,
  NewApiKey,
  NewUser,
  Quota,
  Role,
  User,
  UserChange
} from './people';

const PAGE = 50;

/** The server's REST calls about people. */
export class PeopleApi {
  constructor(private readonly api: Api) {}

  async me(): Promise<Me> {
    return (await this.api.ask<{ user: Me }>('GET', 'currentUser')).user;
  }

  /** The keys of one user, newest first. */
  async keys(owner: string): Promise<readonly ApiKey[]> {
    const { api_keys } = await this.api.ask<{ api_keys: readonly ApiKey[] }>(
      'GET',
      'api-keys',
      { owner, limit: '500' }
    );
    return api_keys;
  }

  createKey(body: NewApiKey): Promise<CreatedApiKey> {
    return this.api.ask('POST', 'api-keys', {}, body);
  }

  revokeKey(id: string): Promise<unknown> {
    return this.api.ask('DELETE', `api-keys/${encodeURIComponent(id)}`);
  }

  async quotas(): Promise<ReadonlyArray<readonly [string, Quota]>> {
    const { quotas } = await this.api.ask<{ quotas: Record<string, Quota> }>(
      'GET',
      'quota'
    );
    return Object.entries(quotas);
  }

  async roles(): Promise<readonly Role[]> {
    return (await this.api.ask<{ roles: readonly Role[] }>('GET', 'roles'))
      .roles;
  }

  createUser(body: NewUser): Promise<User> {
    return this.api.ask('POST', 'users', {}, body);
  }

  changeUser(id: string, body: UserChange): Promise<User> {
    return this.api.ask('PUT', `users/${id}`, {}, body);
  }

  setPassword(id: string, password: string): Promise<unknown> {
    return this.api.ask('PUT', `users/${id}/password`, {}, { password });
  }

  deleteUser(id: string, { things, to }: Leaving): Promise<unknown> {
    const query: Record<string, string> =
      things === 'transfer'
        ? { transfer_to: to }
        : things === 'purge'
          ? { purge: 'true' }
          : {};
    return this.api.ask('DELETE', `users/${id}`, query);
  }

  /** Entries of the audit, newest first, and where the next page begins. */
  audit(
    filter: AuditFilter,
    before: number | null
  ): Promise<{ entries: readonly AuditEntry[]; next: number | null }> {
    const query: Record<string, string> = { limit: String(PAGE) };
    if (filter.user) {
      query['user'] = filter.user;
    }
    if (filter.action) {
      query['action'] = filter.action;
    }
    if (before !== null) {
      query['before'] = String(before);
    }
    return this.api.ask('GET', 'audit', query);
  }
}
