"""What containers use, for those who may see them."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from ..accounts.schemas import Account
from ..errors import InvalidRequest, NotFound
from . import views
from .access import Access
from .engine_types import Sample
from .registry import Registry
from .replies import Metrics, Point
from .schemas import MetricsQuery
from .views import Container

if TYPE_CHECKING:
    from ..devices.schemas import GpuMeasure
    from ..events.bus import Bus
    from .engines import Engine, Engines
    from .past import Moment

TOPIC = "container-stats"
POINTS = 360
"""Of a history, at most."""

HOUR = 3600
LOOK_SECONDS = 1.0
"""Between two looks whether anybody watches."""


class ContainerUsage:
    """Measures of containers: now, of the last hour, and as they come.

    Attributes
    ----------
    measure_gpus
        Tells how busy GPUs are, by their numbers; whoever reads them sets it.
    """

    def __init__(self, access: Access, registry: Registry, engines: Engines, bus: Bus) -> None:
        self._access = access
        self._registry = registry
        self._engines = engines
        self._bus = bus
        self.measure_gpus: Callable[[Sequence[int]], Sequence[GpuMeasure]] = lambda gids: ()

    def follow(self, engine: Engine) -> None:
        """Hear of what is measured on a device."""
        engine.sampler.on_samples.append(self._publish)

    async def run(self) -> None:
        """Have everything measured often for as long as anybody listens."""
        with ExitStack() as watching:
            while True:
                if self._bus.wanted(TOPIC):
                    # Left as soon as nobody listens.
                    for engine in self._engines:
                        watching.enter_context(engine.sampler.watching())
                    while self._bus.wanted(TOPIC):
                        await asyncio.sleep(LOOK_SECONDS)
                    watching.close()
                await asyncio.sleep(LOOK_SECONDS)

    async def metrics(self, caller: Account, ref: str, query: MetricsQuery) -> Metrics:
        """What a container uses now; with `duration` also what it used.

        Raises
        ------
        NotFound
            No container of the caller's goes by `ref`.
        Unavailable
            The engine does not answer, and the container is not on this machine.
        """
        found = await self._access.find(caller, ref)
        measured = views.sample(
            await self._now(found), self.measure_gpus(found.gpus if found.engine.running else ())
        )
        answer = cast(Metrics, {"id": found.id, "cid": found.cid, **measured})
        if query.duration is not None:
            past = self._past(found.id, query.duration)
            answer["history"] = [_point(moment) for moment in past]
        return answer

    async def _now(self, found: Container) -> Sample:
        if found.engine.running:
            try:
                return await self._engines.of(found.id).sampler.now(found.id)
            except NotFound:
                # It ended between the look and the measure.
                pass
        limit = found.engine.detail.memory if found.engine.detail else None
        return Sample(found.id, datetime.now(UTC), 0.0, 0, limit or 0)

    def _past(self, engine_id: str, seconds: float) -> list[Moment]:
        return self._engines.of(engine_id).sampler.past(engine_id, seconds, POINTS)

    # -- as they come ----------------------------------------------------------------------------

    def _publish(self, samples: Sequence[Sample]) -> None:
        if not self._bus.wanted(TOPIC):
            return
        items: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for sample in samples:
            known = self._registry.by_engine.get(sample.id)
            if known is not None:
                measured = views.sample(sample, self.measure_gpus(known.gpus))
                item = {"cid": known.cid, "id": sample.id, **measured}
                items[known.owner].append(item)
        for owner, own in items.items():
            self._bus.publish(TOPIC, {"items": own}, owner=owner, key=owner)

    async def snapshot(self, caller: Account, data: Mapping[str, Any]) -> dict[str, Any]:
        """The last hour of one container, or of all the caller's, by its number."""
        history = {
            str(item.cid): [_point(moment) for moment in self._past(item.id, HOUR)]
            for item in await self._wanted(caller, data)
        }
        return {"history": history}

    async def frames(
        self, caller: Account, data: Mapping[str, Any]
    ) -> AsyncIterator[dict[str, Any]]:
        """Every measure of one container, or of all the caller's."""
        only = await self._wanted(caller, data) if "cid" in data else None
        async with self._bus.subscribe(caller, [TOPIC]) as events:
            async for event in events:
                items = event.data["items"]
                if only is not None:
                    items = [item for item in items if item["cid"] == only[0].cid]
                if items:
                    yield {"items": items}

    async def _wanted(self, caller: Account, data: Mapping[str, Any]) -> list[Container]:
        directory = self._access.directory
        if "cid" not in data:
            await self._access.need_reached()
            return [directory.view(key) for key in directory.seen(caller)]
        cid = data["cid"]
        if not isinstance(cid, int | str) or isinstance(cid, bool):
            raise InvalidRequest(fields={"cid": "must be a container's number, id or name"})
        return [await self._access.find(caller, str(cid))]


def _point(moment: Moment) -> Point:
    return {
        "timestamp": views.moment(moment.at),
        "cpu_usage": round(moment.cpu_usage, 2),
        "memory_usage": moment.memory_usage,
    }
