import type { TranslationBundle } from '@jupyterlab/translation';
import { ReactWidget } from '@jupyterlab/ui-components';
import type { CommandRegistry } from '@lumino/commands';
import {
  PromiseDelegate,
  type ReadonlyPartialJSONObject
} from '@lumino/coreutils';
import type { Message } from '@lumino/messaging';
import * as React from 'react';

import type { Actions } from '../model/actions';
import type { Backups, BackupStore } from '../model/backupstore';
import type { Databases, DatabaseStore } from '../model/databasestore';
import type { Reader } from '../model/databases';
import type { Devices, DeviceStore } from '../model/devicestore';
import { isAdministrator } from '../model/people';
import type { People, PeopleStore } from '../model/peoplestore';
import type { Services, ServiceStore } from '../model/servicestore';
import type { Snapshots, SnapshotStore } from '../model/snapshotstore';
import type { State, Store } from '../model/store';

/** What every component may need, handed down from the top. */
export interface Desk {
  readonly store: Store;
  readonly people: PeopleStore;
  readonly devices: DeviceStore;
  readonly databases: DatabaseStore;
  readonly services: ServiceStore;
  readonly backups: BackupStore;
  readonly snapshots: SnapshotStore;
  readonly actions: Actions;
  readonly commands: CommandRegistry;
  readonly trans: TranslationBundle;
  /** The reader's language, for dates and numbers. */
  readonly language: string;
  /** Open the application's context menu for what was clicked. */
  readonly openMenu: (event: React.MouseEvent) => void;
}

const Context = React.createContext<Desk | null>(null);

export function useDesk(): Desk {
  const desk = React.useContext(Context);
  if (!desk) {
    throw new Error('A component was drawn without its desk.');
  }
  return desk;
}

/** Read a part of the store, and draw again when that part changes. */
export function useStore<T>(select: (state: State) => T): T {
  const { store } = useDesk();
  return React.useSyncExternalStore(store.subscribe, () => select(store.state));
}

/** Read a part of what is known of people, and draw again when that part changes. */
export function usePeople<T>(select: (state: People) => T): T {
  const { people } = useDesk();
  return React.useSyncExternalStore(people.subscribe, () =>
    select(people.state)
  );
}

/** The devices, drawn again when one of them changes. */
export function useDevices(): Devices {
  const { devices } = useDesk();
  return React.useSyncExternalStore(devices.subscribe, () => devices.devices);
}

/** The databases, drawn again when one of them changes. */
export function useDatabases(): Databases {
  const { databases } = useDesk();
  return React.useSyncExternalStore(databases.subscribe, () => databases.state);
}

/** The services, drawn again when one of them changes. */
export function useServices(): Services {
  const { services } = useDesk();
  return React.useSyncExternalStore(
    services.subscribe,
    () => services.services
  );
}

/** The backups, drawn again when one of them changes. */
export function useBackups(): Backups {
  const { backups } = useDesk();
  return React.useSyncExternalStore(backups.subscribe, () => backups.state);
}

/** The caller's snapshots, drawn again when one of them changes. */
export function useSnapshots(): Snapshots {
  const { snapshots } = useDesk();
  return React.useSyncExternalStore(snapshots.subscribe, () => snapshots.state);
}

/** Who looks, as far as databases are concerned. */
export function readerOf({ people }: Pick<Desk, 'people'>): Reader {
  const { me } = people.state;
  return { username: me?.username ?? '', admin: isAdministrator(me) };
}

/** A callback that runs a command. */
export function useCommand(): (
  id: string,
  args?: ReadonlyPartialJSONObject
) => void {
  const { commands } = useDesk();
  return React.useCallback(
    (id, args) => {
      // A key is pressed where no button is offered, too.
      if (commands.isEnabled(id, args)) {
        // Commands tell of their failures themselves.
        commands.execute(id, args).catch(() => undefined);
      }
    },
    [commands]
  );
}

/** A Lumino widget that shows a component. */
export class DeskWidget extends ReactWidget {
  constructor(
    private readonly desk: Desk,
    private readonly body: () => React.ReactElement
  ) {
    super();
    this.addClass('jx-Widget');
  }

  /** Whoever opens it begins to type at the place that is marked for it. */
  protected override onActivateRequest(message: Message): void {
    super.onActivateRequest(message);
    void this.drawn.promise.then(() => {
      const { activeElement } = document;
      // JupyterLab gives the focus to the widget as a whole.
      if (activeElement === this.node || !this.node.contains(activeElement)) {
        this.node.querySelector<HTMLElement>('[data-begin]')?.focus();
      }
    });
  }

  protected override render(): React.ReactElement {
    return (
      <Context.Provider value={this.desk}>
        <Drawn then={() => this.drawn.resolve()}>{this.body()}</Drawn>
      </Context.Provider>
    );
  }

  // Not `renderPromise`: that waits until the browser is idle, which on a busy machine it is not.
  private readonly drawn = new PromiseDelegate<void>();
}

/** Says when what it holds is in the document. */
function Drawn(props: {
  readonly then: () => void;
  readonly children: React.ReactElement;
}): React.ReactElement {
  const { then, children } = props;
  React.useLayoutEffect(then);
  return children;
}
