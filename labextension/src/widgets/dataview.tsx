import type { IDisposable } from '@lumino/disposable';
import type { Message } from '@lumino/messaging';
import { addIcon, refreshIcon, SidePanel } from '@jupyterlab/ui-components';
import * as React from 'react';

import { telling } from '../commandtools';
import { listed } from '../model/databases';
import { CommandIDs } from '../tokens';
import { BackupList } from '../view/BackupList';
import { DatabaseList } from '../view/DatabaseList';
import { Desk, DeskWidget, readerOf } from '../view/desk';
import { SnapshotList } from '../view/SnapshotList';
import { section, titled } from './section';

/** What keeps data: the databases, the backups of them, and snapshots of the whole workspace. */
export class DataView extends SidePanel {
  constructor(private readonly desk: Desk) {
    super();
    const { backups, commands, databases, people, snapshots, trans } = desk;
    const list = section(
      new DeskWidget(desk, () => <DatabaseList />),
      {
        icon: refreshIcon,
        tooltip: trans.__('Measure how large they are now'),
        onClick: () =>
          void telling(
            desk,
            trans.__('The databases were not measured'),
            databases.measure()
          )
      },
      {
        icon: addIcon,
        tooltip: trans.__('New database'),
        onClick: () => void commands.execute(CommandIDs.createDatabase)
      }
    );
    this.addWidget(list);
    const past = section(
      new DeskWidget(desk, () => <BackupList />),
      {
        icon: refreshIcon,
        tooltip: trans.__('Look how far the archive reaches now'),
        onClick: () =>
          void telling(
            desk,
            trans.__('The backups were not looked at'),
            backups.refresh()
          )
      },
      {
        icon: addIcon,
        tooltip: trans.__('Back up now'),
        onClick: () => void commands.execute(CommandIDs.createBackup)
      }
    );
    this.addWidget(past);
    const whole = section(
      new DeskWidget(desk, () => <SnapshotList />),
      {
        icon: refreshIcon,
        tooltip: trans.__('Look what can be restored now'),
        onClick: () =>
          void telling(
            desk,
            trans.__('The snapshots were not looked at'),
            snapshots.refresh()
          )
      },
      {
        icon: addIcon,
        tooltip: trans.__('Take a snapshot'),
        onClick: () => void commands.execute(CommandIDs.createSnapshot)
      }
    );
    this.addWidget(whole);
    const count = () => {
      const items = databases.state.items?.values() ?? [];
      const own = listed(items, readerOf(desk)).filter(each => !each.system);
      list.title.label = titled(trans.__('Databases'), own.length);
      const taken = backups.state.items?.size;
      past.title.label = titled(trans.__('Backups'), taken);
      const kept = snapshots.state.items?.size;
      whole.title.label = titled(trans.__('Snapshots'), kept);
    };
    count();
    databases.changed.connect(count, this);
    backups.changed.connect(count, this);
    snapshots.changed.connect(count, this);
    people.changed.connect(count, this);
  }

  /** They are heard of only while somebody can see them. */
  protected override onAfterShow(message: Message): void {
    super.onAfterShow(message);
    const { backups, databases, snapshots } = this.desk;
    this._following ??= [databases, backups, snapshots].map(each =>
      each.follow()
    );
  }

  protected override onBeforeHide(message: Message): void {
    super.onBeforeHide(message);
    this._following?.forEach(each => each.dispose());
    this._following = null;
  }

  private _following: readonly IDisposable[] | null = null;
}
