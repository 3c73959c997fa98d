"""The PostgreSQL of users' databases as a service."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial

from ..devices.threads import in_a_thread
from ..errors import Conflict
from ..postgres.service import PostgresService
from . import logs
from .supervised import THREAD
from .unit import State

FOREIGN = (
    "This PostgreSQL is run by somebody else (PostgresSettings.url). Use what starts it there: "
    "`sudo systemctl {action} postgresql`."
)


class PostgresUnit:
    """Started, watched and found again by its own `Cluster`."""

    name = "postgres"
    kind = "postgres"

    def __init__(self, postgres: PostgresService) -> None:
        self._postgres = postgres

    def state(self) -> State:
        """Return how it is, at once."""
        status, problem = self._postgres.probe()
        cluster = self._postgres.cluster
        if cluster is None:
            return State(status, port=self._postgres.port, problem=problem, actions=())
        process = cluster.process
        return State(
            status, process.pid if process is not None else None, cluster.port, problem=problem
        )

    async def refresh(self) -> None:
        """Do nothing: it is watched."""

    async def start(self) -> None:
        """Start it; the first time of all its files are made."""
        self._check("start")
        if (cluster := self._postgres.cluster) is not None and cluster.process is None:
            await cluster.start()

    async def stop(self) -> None:
        """Stop it until somebody starts it, or the next server does."""
        self._check("stop")
        if (cluster := self._postgres.cluster) is not None and cluster.made:
            await cluster.stop()

    async def restart(self) -> None:
        """Stop it where it runs, and start it."""
        self._check("restart")
        await self.stop()
        await self.start()

    async def logs(self, tail: int, since: datetime | None) -> Sequence[str]:
        """Return the end of its log."""
        cluster = self._postgres.cluster
        if cluster is None:
            raise Conflict("service", self.name, "Its log lies on the machine that runs it.")
        if (path := cluster.log) is None:
            return []
        return await in_a_thread(partial(logs.read, path, tail, since), THREAD)

    def _check(self, action: str) -> None:
        if self._postgres.cluster is None:
            raise Conflict("service", self.name, FOREIGN.format(action=action))
