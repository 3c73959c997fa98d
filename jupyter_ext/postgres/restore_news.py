"""Tells of restores: whose sessions are ended why, and which databases are others by now."""

from __future__ import annotations

from collections.abc import Mapping

from ..accounts.schemas import Account
from .backup_schemas import Restore
from .database_restore import DatabaseRestore
from .directory import DatabaseDirectory, Publisher


class RestoreNews:
    """Publishes what happens to the topics of backups and of databases."""

    def __init__(
        self, databases: DatabaseRestore, directory: DatabaseDirectory, bus: Publisher
    ) -> None:
        self._databases = databases
        self._directory = directory
        self._bus = bus

    async def tell(self, caller: Account, event: str, shown: Restore) -> None:
        """Tell everybody whose sessions are ended why, each of what is theirs, and the caller."""
        changes = shown.mode == "in_place" and bool(shown.databases or shown.cluster)
        if event == "restored" and changes:
            await self._tell_of_databases(shown)
        theirs = await self._databases.owners(shown.databases) if changes else {}
        for owner, names in {**theirs, caller.id: shown.databases}.items():
            data = {
                "event": event,
                "id": shown.backup,
                "databases": list(names),
                "target_time": shown.target_time.isoformat(),
            }
            self._bus.publish("backups", data, owner=owner, key=shown.backup)

    async def there(self) -> Mapping[str, str | None]:
        """Return whose which databases are, to be told of when they are gone."""
        return {each.name: each.owner for each in await self._directory.all()}

    async def tell_of_gone(self, before: Mapping[str, str | None]) -> None:
        """Tell whoever shows databases which of those that were there are not any more."""
        there = await self.there()
        for name, owner in before.items():
            if name not in there:
                self._directory.tell("deleted", name, owner)

    async def _tell_of_databases(self, shown: Restore) -> None:
        """Tell whoever shows databases which are others now, and which are new."""
        kept = {*shown.kept.values()} if shown.databases else set[str]()
        for seen in await self._directory.all():
            if seen.name in kept:
                self._directory.tell("created", seen.name, seen.owner)
            elif seen.name in shown.databases or not shown.databases:
                self._directory.tell("restored", seen.name, seen.owner)
