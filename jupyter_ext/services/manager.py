"""Rules of services: who they are, what they can do, and who hears of it."""

from __future__ import annotations

import asyncio
import builtins
import logging
import os
import time
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, get_args

from ..accounts.schemas import Account
from ..api.route import May, Page
from ..devices.threads import in_a_thread
from ..errors import InvalidRequest, NotFound
from ..events.bus import Bus
from ..system.schemas import Problem
from . import measures
from .schemas import Action, Service, ServiceLog, ServiceLogQuery
from .supervised import THREAD, Ended
from .unit import State, Unit, problem_text

TOPIC = "services"
LOGS = "service:logs"
"""The permission that opens logs."""

LOOK_SECONDS = 1.0
ASK_EVERY = 10
"""Looks between two questions to those who are not watched from here."""

_log = logging.getLogger(__name__)


class ServiceManager:
    """All services of this server."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._units: dict[str, Unit] = {}
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._told: dict[str, State] = {}
        self._watching: asyncio.Task[None] | None = None

    def add(self, unit: Unit) -> None:
        """Take a service in; one of a name that is taken is left out."""
        if unit.name in self._units:
            _log.warning("There is a service %s already; another one is left out.", unit.name)
        else:
            self._units[unit.name] = unit

    # -- for routes ------------------------------------------------------------------------------

    async def list(self, caller: Account) -> Page[Service]:
        """List the services."""
        await asyncio.gather(*(unit.refresh() for unit in self._units.values()))
        found = await self._views(list(self._units.values()))
        return Page(found, len(found), max(len(found), 1), 0, TOPIC)

    async def act(self, caller: Account, service: str, action: str, may: May) -> Service:
        """Start, stop or restart a service.

        One that ends at once is told with its last words to whoever may read its log.

        Raises
        ------
        NotFound
            There is none of this name.
        InvalidRequest
            There is no such action.
        Conflict
            It can't be done from here; the message names what does it.
        Unavailable
            It is not installed, or fails.
        """
        unit = self._find(service)
        if action not in get_args(Action):
            raise InvalidRequest(fields={"action": "is none: there are start, stop and restart"})
        async with self._turns[service]:
            work = {"start": unit.start, "stop": unit.stop, "restart": unit.restart}[action]
            try:
                await work()
            except Ended as error:
                raise (error.told() if may(LOGS) else error) from None
            finally:
                self._look(unit)
        return (await self._views([unit]))[0]

    async def logs(self, caller: Account, service: str, query: ServiceLogQuery) -> ServiceLog:
        """Return the end of a service's log.

        Raises
        ------
        NotFound
            There is none of this name.
        """
        unit = self._find(service)
        return ServiceLog(lines=list(await unit.logs(query.tail, query.since)))

    async def feed(self, caller: Account, data: dict[str, Any]) -> dict[str, Any]:
        """Return what a subscriber sees first: all services."""
        page = await self.list(caller)
        return {"items": [item.model_dump(mode="json") for item in page.items]}

    # -- for others ------------------------------------------------------------------------------

    def states(self) -> dict[str, State]:
        """Return how all are, from memory."""
        return {name: unit.state() for name, unit in self._units.items()}

    def probe(self, name: str) -> tuple[str, Problem | None]:
        """Return the state of one, and its problem where it should be well and is not."""
        state = self._units[name].state()
        return state.status, None if state.status == "not_installed" else state.problem

    async def measured(self) -> Sequence[Service]:
        """Return all as they are."""
        return await self._views(list(self._units.values()))

    def warn(self, name: str, event: str, text: str, seconds: float) -> None:
        """Tell everybody what is going to happen."""
        at = datetime.now(UTC) + timedelta(seconds=seconds)
        _log.warning("%s", text)
        data = {"event": event, "name": name, "message": text, "at": at.isoformat()}
        self._bus.publish(TOPIC, data)

    def start(self) -> None:
        """Begin to tell of changes."""
        if self._watching is None:
            self._watching = asyncio.get_running_loop().create_task(self._watch())

    async def stop(self) -> None:
        """Tell no more."""
        task, self._watching = self._watching, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    # -- inside ----------------------------------------------------------------------------------

    def _find(self, name: str) -> Unit:
        unit = self._units.get(name)
        if unit is None:
            raise NotFound("service", name)
        return unit

    async def _views(self, units: Sequence[Unit]) -> builtins.list[Service]:
        states = [unit.state() for unit in units]
        pids = [state.pid for state in states if state.pid is not None]
        taken: dict[int, measures.Measure] = {}
        if pids:
            taken = await in_a_thread(partial(measures.measure, pids, os.getpid()), THREAD)
        return [
            _view(unit, state, taken.get(state.pid or 0))
            for unit, state in zip(units, states, strict=True)
        ]

    def _look(self, unit: Unit) -> None:
        """Tell of a service that has changed."""
        state, before = unit.state(), self._told.get(unit.name)
        if state == before:
            return
        self._told[unit.name] = state
        if before is not None:
            data = {"event": "changed", "service": _view(unit, state, None).model_dump(mode="json")}
            self._bus.publish(TOPIC, data, key=unit.name)

    async def _watch(self) -> None:
        looks = 0
        while True:
            try:
                if looks % ASK_EVERY == 0:
                    for unit in self._units.values():
                        await unit.refresh()
                for unit in self._units.values():
                    self._look(unit)
            except Exception:
                _log.exception("Services could not be looked after")
            looks += 1
            await asyncio.sleep(LOOK_SECONDS)


def _view(unit: Unit, state: State, taken: measures.Measure | None) -> Service:
    memory = state.memory
    uptime = taken.uptime if taken is not None else None
    if state.since is not None:
        uptime = int(time.time() - state.since)
    return Service(
        name=unit.name,
        status=state.status,
        port=state.port,
        pid=state.pid,
        uptime=uptime,
        memory_bytes=memory if memory is not None else (taken.memory if taken else None),
        kind=unit.kind,
        actions=list(state.actions),
        opens=state.opens,
        problem=problem_text(state.problem),
    )
