import type { Api } from './api';
import type {
  Backup,
  NewBackup,
  NewRestore,
  Restore,
  SideCluster
} from './backups';
import type { DatabaseConnection } from './databases';
import { ListStore } from './liststore';
import { ApiError, Outcome } from './reply';
import type { Data, EventSocket } from './socket';
import type { Store } from './store';
import type { Operation } from './types';

/** The database that every cluster has. */
const MAINTENANCE = 'postgres';

/** The tab's picture of the backups, and what a person does with them. */
export class BackupStore extends ListStore<Backup> {
  constructor(
    api: Api,
    socket: EventSocket,
    private readonly store: Store,
    /** Called when databases are others than before: those that were kept are new. */
    private readonly onRestored: () => void = () => undefined
  ) {
    super(api, socket);
  }

  /** Begin to take a backup. */
  async create(wish: NewBackup): Promise<Operation | null> {
    return this.begun(await this.api.begin<Backup>('POST', 'backups', wish));
  }

  /** Begin to test a backup. */
  async verify(id: string): Promise<Operation | null> {
    const path = `${pathOf(id)}/verify`;
    return this.begun(await this.api.begin<Backup>('POST', path));
  }

  async remove(id: string): Promise<void> {
    await this.api.ask('DELETE', pathOf(id));
    this.drop(id);
  }

  /** Tell what a restore would do. */
  plan(id: string, wish: NewRestore): Promise<Restore> {
    const body = { ...wish, dry_run: true };
    return this.api.ask('POST', `${pathOf(id)}/restore`, {}, body);
  }

  /** Begin to restore. */
  async restore(id: string, wish: NewRestore): Promise<Operation | null> {
    const path = `${pathOf(id)}/restore`;
    return this.begun(await this.api.begin<Restore>('POST', path, wish));
  }

  /** The superuser's way into a cluster that was left beside: they log in as in the live one. */
  async sideUrl({ host, port }: SideCluster): Promise<string> {
    const path = `databases/${MAINTENANCE}/connection`;
    const login = await this.api.ask<DatabaseConnection>('GET', path);
    const [user, password] = [login.user, login.password].map(
      encodeURIComponent
    );
    return `postgresql://${user}:${password}@${host}:${port}/${MAINTENANCE}`;
  }

  protected readonly topic = 'backups';

  protected keyOf({ id }: Backup): string {
    return id;
  }

  protected heed(data: Data): void {
    // Whatever happens moves the windows of all of them.
    this.lookAgain();
    if (data['event'] === 'restored') {
      this.onRestored();
    }
  }

  private begun(outcome: Outcome<unknown>): Operation | null {
    if (outcome.done) {
      this.lookAgain();
      return null;
    }
    this.store.putOperation(outcome.operation);
    return outcome.operation;
  }
}

/** What is wrong with a restore that can't be, in one text. */
export function restoreProblem(reason: ApiError): string {
  const told = reason.problems.map(({ message }) => message).join(' ');
  return told || reason.message;
}

function pathOf(id: string): string {
  return `backups/${encodeURIComponent(id)}`;
}
