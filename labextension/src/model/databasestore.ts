import type { Api } from './api';
import type { Database, DatabaseConnection, NewDatabase } from './databases';
import { ListStore, MOST } from './liststore';
import { ApiError, Outcome } from './reply';
import type { Data, EventSocket } from './socket';
import type { Store } from './store';
import type { Operation } from './types';

/** The tab's picture of the databases, and what a person does with them. */
export class DatabaseStore extends ListStore<Database> {
  constructor(
    api: Api,
    socket: EventSocket,
    private readonly store: Store
  ) {
    super(api, socket);
  }

  /** Measure how large all of them are now. */
  measure(): Promise<void> {
    return this.refresh({ fresh: 'true', limit: MOST });
  }

  /** How the caller gets into a database: with the password, so nothing keeps it. */
  async connectionUrl(name: string): Promise<string> {
    const { url } = await this.api.ask<DatabaseConnection>(
      'GET',
      `${pathOf(name)}/connection`
    );
    return url;
  }

  /** Begin to make a database; null where it is there already. */
  async create(body: NewDatabase): Promise<Operation | null> {
    return this.begun(await this.api.createDatabase(body));
  }

  /** Begin to make a database with the content of another; null where it is there already. */
  async clone(
    source: string,
    name: string,
    schemaOnly: boolean
  ): Promise<Operation | null> {
    const body = { name, schema_only: schemaOnly };
    return this.begun(await this.api.cloneDatabase(pathOf(source), body));
  }

  /**
   * Delete a database.
   *
   * @param force - Also where somebody is in it, whose session ends.
   */
  async remove(name: string, force: boolean): Promise<void> {
    const query: Record<string, string> = force ? { force: 'true' } : {};
    await this.api.ask('DELETE', pathOf(name), query);
    this.drop(name);
  }

  protected readonly topic = 'databases';

  protected keyOf({ name }: Database): string {
    return name;
  }

  protected heed(data: Data): void {
    const name = data['name'] as string;
    if (data['event'] === 'deleted') {
      this.drop(name);
    } else {
      void this.fetch(name);
    }
  }

  private begun(outcome: Outcome<Database>): Operation | null {
    if (outcome.done) {
      this.put(outcome.data);
      return null;
    }
    this.store.putOperation(outcome.operation);
    return outcome.operation;
  }

  private async fetch(name: string): Promise<void> {
    try {
      this.put(await this.api.ask<Database>('GET', pathOf(name)));
    } catch (reason) {
      // It may be gone again by now; what else is wrong is told by whatever is asked next.
      if (!(reason instanceof ApiError)) {
        throw reason;
      }
    }
  }
}

/** The path of a database, whose name may hold anything. */
function pathOf(name: string): string {
  return `databases/${encodeURIComponent(name)}`;
}
