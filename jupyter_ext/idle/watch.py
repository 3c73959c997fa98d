"""Looks at all containers now and then: how long they have been idle, and what follows from it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from ..accounts.quota_limits import QuotaLimits
from ..containers.engine_types import EngineContainer
from ..containers.known import Known
from ..containers.service import ContainerService
from ..errors import PlatformError
from ..store.database import Store
from ..store.types import utcnow
from ..watcher import Watcher
from .clocks import Clocks
from .ending import Ending, Watched, started_at
from .measures import Measures
from .notices import Notices
from .rules import Clock, Reason, Rules, Step, Use, merged, next_step, observed, used

WRITE = timedelta(seconds=60)
"""That a clock may go on without being written down."""

STOPS = 8
"""Containers that are stopped at once; the others are looked at again before."""

_log = logging.getLogger(__name__)


class IdleWatch:
    """The background work: every server of a store measures, and one of them acts.

    Parameters
    ----------
    interval
        Seconds between two looks.
    now
        The time, which tests set.
    """

    def __init__(
        self,
        store: Store,
        limits: QuotaLimits,
        clocks: Clocks,
        measures: Measures,
        containers: ContainerService,
        notices: Notices,
        interval: float,
        now: Callable[[], datetime] = utcnow,
    ) -> None:
        self._store = store
        self._limits = limits
        self._clocks = clocks
        self._measures = measures
        self._containers = containers
        self._notices = notices
        self._interval = interval
        self._now = now
        self._ending = Ending(clocks, measures, containers, notices, now)
        self._mine: dict[int, Clock] = {}
        self._written: dict[int, Clock] = {}
        self._looking = asyncio.Lock()
        self._watcher = Watcher(
            self.look,
            lambda: asyncio.sleep(self._interval),
            _log,
            "Idle containers were not looked for",
        )

    # -- life ------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to look."""
        self._watcher.start()

    async def stop(self) -> None:
        """Look no more; how long containers have been idle is written down."""
        await self._watcher.stop()
        try:
            await self._clocks.advance(self._mine)
        except PlatformError as error:
            _log.warning("How long containers were idle was not written down: %s", error)
        await self._measures.close()

    # -- for whoever asks ------------------------------------------------------------------------

    async def rules_of(self, owners: Collection[str]) -> Mapping[str, Rules]:
        """Return the rules that count for accounts, by id."""
        async with self._store.read() as session:
            found = await self._limits.rules_of(session, owners)
        return {owner: Rules.of(rulings) for owner, rulings in found.items()}

    async def keep(self, known: Known, engine: EngineContainer, lasting: timedelta) -> bool:
        """Postpone the stop of a container that runs; False where it is too late."""
        now = self._now()
        clock = merged(started_at(engine), now, self._mine.get(known.cid))
        kept = await self._clocks.keep(known.cid, clock, now + lasting)
        if kept is None:
            return False
        rules = (await self.rules_of([known.owner])).get(known.owner, Rules())
        self._mine[known.cid] = self._written[known.cid] = kept
        self._notices.show(known, rules, kept, now)
        return True

    # -- looking ---------------------------------------------------------------------------------

    async def look(self) -> None:
        """Look once at all containers.

        Raises
        ------
        PlatformError
            The store does not answer.
        """
        if not any(engine.mirror.fresh for engine in self._containers.engines):
            return
        async with self._looking:
            running = await self._under_rules()
            await self._measures.begin([gid for known, _, _ in running for gid in known.gpus])
            stored = await self._clocks.load()
            now = self._now()
            watched = [self._measured(*each, stored, now) for each in running]
            self._let_go(watched, stored)
            await self._write(watched)
            await self._act(watched)

    async def _under_rules(self) -> list[tuple[Known, EngineContainer, Rules]]:
        """Return the containers that run and may be stopped for it one day."""
        engines, known = self._containers.engines, self._containers.registry.by_engine
        running = [
            key
            for engine in engines
            # One that does not answer says nothing of its containers.
            if engine.mirror.fresh
            for key, each in engine.mirror.containers.items()
            if each.running and key in known
        ]
        rules = await self.rules_of({known[key].owner for key in running})
        found = []
        for key in running:
            each = known.get(key)
            if each is None or each.owner not in rules or not rules[each.owner].any:
                continue
            try:
                # A list does not tell when it was started.
                engine = await engines.of(key).mirror.detailed(key)
            except PlatformError:
                continue
            if engine.running:
                found.append((each, engine, rules[each.owner]))
        return found

    def _measured(
        self,
        known: Known,
        engine: EngineContainer,
        rules: Rules,
        stored: Mapping[int, Clock],
        now: datetime,
    ) -> Watched:
        mine, theirs = self._mine.get(known.cid), stored.get(known.cid)
        clock = merged(started_at(engine), now, mine, theirs)
        if theirs is not None:
            self._written[known.cid] = theirs
        use = self._measures.use(known, engine)
        sampler = self._containers.engines.of(engine.id).sampler
        gap = timedelta(seconds=3 * max(sampler.seldom, self._interval))
        self._mine[known.cid] = observed(clock, use, now, gap)
        return Watched(known, engine, rules, use)

    def _let_go(self, watched: Collection[Watched], stored: Mapping[int, Clock]) -> None:
        """Show what became of containers that are not looked at any more."""
        seen = {each.known.cid for each in watched}
        self._measures.keep_only({each.engine.id for each in watched})
        for cid in [cid for cid in self._mine if cid not in seen]:
            del self._mine[cid]
            self._written.pop(cid, None)
        registry = self._containers.registry
        for cid, clock in stored.items():
            if cid not in seen and (known := registry.by_cid.get(cid)) is not None:
                self._notices.end(known, clock)
        self._notices.keep_only(registry.by_cid)

    async def _write(self, watched: Collection[Watched]) -> None:
        late = {}
        for each in watched:
            cid, clock = each.known.cid, self._mine[each.known.cid]
            before = self._written.get(cid)
            if (
                before is None
                or before.started_at != clock.started_at
                or clock.seen_at - before.seen_at >= WRITE
                # Another server may be about to stop what is used through this one.
                or (before.warned_at is not None and clock.since > before.since)
            ):
                late[cid] = clock
        await self._clocks.advance(late)
        self._written |= late

    # -- acting ----------------------------------------------------------------------------------

    async def _act(self, watched: Collection[Watched]) -> None:
        await asyncio.gather(*(self._ask(each) for each in watched))
        stops = 0
        acts = []
        for each in watched:
            clock, now = self._mine[each.known.cid], self._now()
            self._notices.show(each.known, each.rules, clock, now)
            step, end = next_step(each.rules, clock, each.use, now)
            if step is Step.CALM:
                acts.append(self._calm(each, clock))
            elif step is Step.WARN and end is not None:
                acts.append(self._warn(each, clock, end.reason))
            elif step is Step.STOP and end is not None and stops < STOPS:
                stops += 1
                acts.append(self._ending.stop(each, clock, end.reason))
        failures = await asyncio.gather(*acts, return_exceptions=True)
        for failure in failures:
            if isinstance(failure, PlatformError):
                _log.warning("An idle container was not dealt with: %s", failure)
            elif isinstance(failure, BaseException):
                raise failure

    async def _ask(self, each: Watched) -> None:
        """Ask the kernels of a container that would be warned of or stopped, or was."""
        clock, now = self._mine[each.known.cid], self._now()
        step, _ = next_step(each.rules, clock, each.use, now)
        if clock.warned_at is None and step is Step.NOTHING:
            return
        found = await self._measures.kernels(each.known, each.engine)
        if found is None:
            return
        if found.busy:
            each.use = Use.BUSY
        at = now if found.busy else found.last
        clock = self._mine[each.known.cid]
        if at is not None and (later := used(clock, at, now)) != clock:
            self._mine[each.known.cid] = later
            await self._clocks.advance({each.known.cid: later})

    async def _calm(self, each: Watched, clock: Clock) -> None:
        if await self._clocks.calm(each.known.cid, clock):
            self._changed(each, replace(clock, warned_at=None))

    async def _warn(self, each: Watched, clock: Clock, reason: Reason) -> None:
        now = self._now()
        if await self._clocks.warn(each.known.cid, clock, reason, now):
            self._changed(each, replace(clock, warned_at=now))

    def _changed(self, each: Watched, clock: Clock) -> None:
        self._mine[each.known.cid] = self._written[each.known.cid] = clock
        self._notices.show(each.known, each.rules, clock, self._now())
