"""Finds and lists containers for a caller, from memory alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from ..accounts.schemas import Account
from ..errors import Conflict, NotFound
from ..store import utcnow
from .engine_types import EngineContainer
from .known import Known
from .people import People
from .registry import Registry
from .replies import IdleItem, Step
from .views import Container, moment

if TYPE_CHECKING:
    from .engines import Engines
    from .image_keeper import ImageKeeper

SHORTEST_ID = 6


class Directory:
    """The engine's side of containers (the mirror) and ours (the registry) put together."""

    def __init__(
        self, registry: Registry, engines: Engines, people: People, images: ImageKeeper
    ) -> None:
        self._registry = registry
        self._engines = engines
        self._people = people
        self._images = images
        self._order: dict[str, None] = {}
        self._sorted = False
        self.timelines: dict[str, list[Step]] = {}
        """What happened when a container was made here, by its id."""
        self.idle: dict[int, IdleItem] = {}
        """What the rules of time say of containers, by number."""

    def unsorted(self) -> None:
        """Sort again before the next list: containers came or went."""
        self._sorted = False

    def noticed(self, engine_id: str) -> None:
        """Sort again before the next list where this container is new."""
        if engine_id not in self._order:
            self._sorted = False

    def healthy(self, engine: EngineContainer) -> None:
        """Write down when a container that was made here passed its first check of health."""
        steps = self.timelines.get(engine.id)
        health = engine.detail.health if engine.detail else None
        if steps and health == "healthy" and all(step["step"] != "healthy" for step in steps):
            steps.append({"step": "healthy", "at": moment(utcnow()), "seconds": None})

    def seen(self, caller: Account, status: str | None = None) -> list[str]:
        """Ids of the caller's containers (an administrator's: of all), newest first."""
        known = self._registry.by_engine
        ids: Iterable[str] = self._newest_first()
        if not caller.is_admin:
            ids = [key for key in ids if known[key].owner == caller.id]
        if status is not None:
            ids = [key for key in ids if self._status(key) == status]
        return list(ids)

    def _status(self, engine_id: str) -> str:
        if self._engines.of(engine_id).lost:
            return "lost"
        return self._engines.containers[engine_id].status

    def _newest_first(self) -> Iterable[str]:
        containers, known = self._engines.containers, self._registry.by_engine
        if not self._sorted:
            self._order = dict.fromkeys(
                sorted(
                    (key for key in containers if key in known),
                    key=lambda key: (containers[key].created_at, known[key].cid),
                    reverse=True,
                )
            )
            self._sorted = True
        return self._order

    def view(self, engine_id: str, engine: EngineContainer | None = None) -> Container:
        """A container that is known and mirrored, as managers hand it out."""
        known = self._registry.by_engine[engine_id]
        engine = engine or self._engines.containers[engine_id]
        host = self._engines.of(engine_id)
        if host.lost:
            engine = replace(engine, status="lost")
        return Container(
            known.cid,
            known.name,
            self._people.name(known.owner),
            known.device,
            engine,
            self._images.iid(engine.image_id),
            host.mirror.stale_since,
            tuple(self.timelines.get(engine_id, ())),
            known.gpus,
            self.idle.get(known.cid),
        )

    def find(self, caller: Account, ref: str) -> Container:
        """The caller's container of an id, short id, name or cid.

        An administrator's own is found before somebody else's of the same name.

        Raises
        ------
        NotFound
            There is none, or it is somebody else's.
        Conflict
            An administrator means one of several.
        """
        found = list(dict.fromkeys(self._matches(caller, ref)))
        if not found:
            raise NotFound("container", ref)
        if len(found) > 1:
            names = ", ".join(
                f"{self._people.name(known.owner)}.{known.name}" for known in map(self._of, found)
            )
            raise Conflict("container", ref, f"{ref!r} means several containers: {names}.")
        return self.view(found[0])

    def _of(self, engine_id: str) -> Known:
        return self._registry.by_engine[engine_id]

    def _matches(self, caller: Account, ref: str) -> Iterator[str]:
        known, containers = self._registry.by_engine, self._engines.containers
        if ref.isascii() and ref.isdecimal() and len(ref) < 16:
            record = self._registry.by_cid.get(int(ref))
            if record is not None and self._reaches(caller, record):
                yield record.engine_id or ""
                return
        if ref in known and ref in containers and self._reaches(caller, known[ref]):
            yield ref
            return
        mine = [
            key
            for key, record in known.items()
            if key in containers and self._reaches(caller, record)
        ]
        named = [key for key in mine if known[key].name == ref]
        own = [key for key in named if known[key].owner == caller.id]
        engine_names = [key for key in mine if containers[key].name == ref]
        if own or named or engine_names:
            yield from own or named or engine_names
            return
        if len(ref) >= SHORTEST_ID and all(char in "0123456789abcdef" for char in ref):
            yield from (key for key in mine if key.startswith(ref))

    def _reaches(self, caller: Account, record: Known) -> bool:
        """Whether the caller may know of a container that is there."""
        if record.engine_id not in self._engines.containers:
            return False
        return caller.is_admin or record.owner == caller.id

    def names(self, caller: Account, engine_ids: Iterable[str]) -> list[str]:
        """Names of those containers that the caller may know of."""
        known = self._registry.by_engine
        return [
            known[key].name
            for key in engine_ids
            if key in known and self._reaches(caller, known[key])
        ]
