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
import type { BackupStore } from '../model/backupstore';
import type { DatabaseStore } from '../model/databasestore';
import type { Reader } from '../model/databases';
import type { DeviceStore } from '../model/devicestore';
import type { Listed, ListStore } from '../model/liststore';
import { isAdministrator } from '../model/people';
import type { People, PeopleStore } from '../model/peoplestore';
import type { ServiceStore } from '../model/servicestore';
import type { SnapshotStore } from '../model/snapshotstore';
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

/** A list, drawn again when something in it changes. */
export function useListed<Item, Key>(
  store: ListStore<Item, Key>
): Listed<Item, Key> {
  return React.useSyncExternalStore(store.subscribe, () => store.state);
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
