"""Chooses the device that a new container runs on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sqlalchemy import select

from ..devices.records import DeviceRecord
from ..errors import Conflict, InvalidRequest, Unavailable
from .engines import Engine, Engines
from .image_index import ImageIndex, title
from .image_types import EngineImage
from .schemas import NewContainer

if TYPE_CHECKING:
    from ..store import Store


class Placer:
    """Which devices will do, the best one first."""

    def __init__(self, store: Store, engines: Engines, index: ImageIndex) -> None:
        self._store = store
        self._engines = engines
        self._index = index

    @property
    def alone(self) -> bool:
        """Whether there is no device but one."""
        return len(list(self._engines)) == 1

    async def candidates(self, body: NewContainer, image: EngineImage | None) -> Sequence[int]:
        """Return the devices on which a container can run, the one with the most room first.

        Parameters
        ----------
        image
            None where it is pulled first.

        Raises
        ------
        InvalidRequest
            No such device, or its folders are not there.
        Conflict
            The device is being drained, or has not got the image and can't get it.
        Unavailable
            No device can be reached that would do.
        """
        engines = list(self._engines)
        if len(engines) == 1 and body.device is None and not engines[0].draining:
            return [engines[0].did]
        if body.device is not None:
            engines = [self._named(body.device)]
        if body.volumes:
            engines = [engine for engine in engines if engine is self._engines.local]
            if not engines:
                raise InvalidRequest(
                    fields={"device": "must be 1: the folders of the host are there"}
                )
        engines = [engine for engine in engines if not engine.draining]
        if not engines:
            raise Conflict(
                "device",
                body.device or "any",
                "Nothing new is placed on the device: it is being drained.",
            )
        if image is not None:
            engines = self._with_image(engines, image)
        reached = [engine for engine in engines if engine.mirror.fresh]
        if not reached:
            # What the first one says is why, and how to mend it.
            await engines[0].driver.ping()
            raise Unavailable("No device can be reached that would do.", "Try again.")
        if len(reached) == 1:
            return [reached[0].did]
        room = await self._room()
        here = set(self._index.devices(image.id)) if image is not None else set[int]()
        return sorted(
            (engine.did for engine in reached),
            key=lambda did: (did not in here, -room.get(did, 0.0), did),
        )

    def _named(self, did: int) -> Engine:
        for engine in self._engines:
            if engine.did == did:
                return engine
        raise InvalidRequest(
            fields={"device": f"there is no device {did}, or its engine has no address"}
        )

    def _with_image(self, engines: list[Engine], image: EngineImage) -> list[Engine]:
        have = self._index.devices(image.id)
        able = [engine for engine in engines if self._index.runs_on(image, engine.did)]
        if not able:
            raise Conflict(
                "image",
                title(image),
                f"{title(image)} is only on device {', '.join(map(str, have))}. Run it there, or "
                "let the administrator name a registry (ContainerDefaults.registry).",
            )
        return able

    async def _room(self) -> dict[int, float]:
        """Return the part of each device that nothing takes, of processors or memory the less."""
        record = DeviceRecord
        async with self._store.read() as session:
            rows = await session.execute(
                select(
                    record.did,
                    record.cpu_millis,
                    record.used_cpu_millis,
                    record.memory_bytes,
                    record.used_memory_bytes,
                )
            )
            return {
                did: min(1 - used_cpu / max(cpu, 1), 1 - used_memory / max(memory, 1))
                for did, cpu, used_cpu, memory, used_memory in rows
            }
