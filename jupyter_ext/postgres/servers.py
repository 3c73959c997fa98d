"""The server of users' databases: the product's own cluster, or one that is there already."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import partial
from typing import Protocol

from ..devices.threads import in_a_thread
from ..errors import PlatformError, Unavailable
from ..system.schemas import Problem
from .cluster import THREAD, Claim, Cluster
from .connections import Connections, ping, statement
from .place import SUPERUSER, Place
from .processes import ProgramFailed, SystemUser
from .programs import Programs, find_programs
from .roles import mark_role
from .settings import PostgresSettings
from .strays import clear_strays

PROBE_SECONDS = 5.0

_log = logging.getLogger(__name__)


class Server(Protocol):
    """What the managers of databases need of a server."""

    @property
    def made(self) -> bool:
        """Whether there is one."""

    @property
    def address(self) -> tuple[str, int]:
        """Host and port at which users reach it."""

    async def can_be(self) -> None:
        """See that there is one, or that one can be made.

        Raises
        ------
        Unavailable
            PostgreSQL is not installed.
        """

    async def ready(self) -> None:
        """See that it runs, and that `Connections` lead there.

        Raises
        ------
        Unavailable
            It does not, and can't be made to.
        """

    async def tools(self) -> tuple[Programs, SystemUser, Mapping[str, str]]:
        """Return PostgreSQL's programs, who runs them, and how the superuser connects."""

    async def tidy(self) -> None:
        """Remove files that crashes left of databases, where they are ours to remove."""

    def probe(self) -> tuple[str, Problem | None]:
        """Return its state and its problem, from memory."""


class OwnServer:
    """The product's own cluster."""

    def __init__(
        self, cluster: Cluster, connections: Connections, settings: PostgresSettings
    ) -> None:
        self._cluster = cluster
        self._connections = connections
        self._settings = settings
        cluster.on_start(self._set_up)

    @property
    def made(self) -> bool:
        """Whether there is one."""
        return self._cluster.made

    @property
    def address(self) -> tuple[str, int]:
        """Host and port at which users reach it."""
        bound = self._settings.bind_address
        host = "127.0.0.1" if bound in ("*", "0.0.0.0", "::", "localhost") else bound  # noqa: S104
        return host, self._cluster.port or 0

    async def can_be(self) -> None:
        """See that there is one, or that one can be made."""
        if not self.made:
            await in_a_thread(partial(find_programs, self._settings.programs), THREAD)

    async def ready(self) -> None:
        """See that it runs, made first where there is none."""
        place = await self._cluster.need()
        await self._connections.open(place.conninfo(), place.programs.version)

    async def tools(self) -> tuple[Programs, SystemUser, Mapping[str, str]]:
        """Return PostgreSQL's programs, who runs them, and how the superuser connects."""
        place = await self._cluster.need()
        return place.programs, place.user, place.conninfo()

    async def tidy(self) -> None:
        """Remove files that crashes left of databases."""
        await self._tidy(await self._cluster.need())

    def probe(self) -> tuple[str, Problem | None]:
        """Return its state and its problem, from memory."""
        return self._cluster.probe()

    async def _set_up(self, place: Place) -> None:
        """Let nobody into what every cluster has."""
        await self._connections.open(place.conninfo(), place.programs.version)
        async with self._connections.use() as connection:
            await mark_role(connection, SUPERUSER)
            for name in ("postgres", "template1"):
                await connection.execute(statement("REVOKE ALL ON DATABASE {} FROM PUBLIC", name))
        await self._tidy(place)

    async def _tidy(self, place: Place) -> None:
        try:
            await clear_strays(self._connections, place)
        except (PlatformError, ProgramFailed) as error:
            _log.warning("What crashes left of databases is not removed yet: %s", error)


class ForeignServer:
    """A server that somebody else runs."""

    def __init__(self, settings: PostgresSettings, connections: Connections, claim: Claim) -> None:
        self._settings = settings
        self._connections = connections
        self._claim = claim
        self._checked = False
        self._problem: Problem | None = None
        self._conninfo: dict[str, str] = {}

    @property
    def made(self) -> bool:
        """Whether there is one: always."""
        return True

    @property
    def address(self) -> tuple[str, int]:
        """Host and port at which users reach it."""
        return self._conninfo.get("host", ""), int(self._conninfo.get("port", 5432))

    async def can_be(self) -> None:
        """Do nothing: there is one."""

    async def ready(self) -> None:
        """See that it answers, and that its role is a superuser's."""
        if self._checked:
            return
        try:
            await self._check()
        except Unavailable as error:
            self._problem = Problem(service="postgres", what=error.what, cure=error.cure)
            raise
        self._problem = None
        self._checked = True

    async def tools(self) -> tuple[Programs, SystemUser, Mapping[str, str]]:
        """Return PostgreSQL's programs of this machine, and how the superuser connects."""
        programs = await in_a_thread(partial(find_programs, self._settings.programs), THREAD)
        return programs, SystemUser.own(), self._conninfo

    async def tidy(self) -> None:
        """Do nothing: its disk is somebody else's."""

    def probe(self) -> tuple[str, Problem | None]:
        """Return whether it answered when it was last asked."""
        return ("failed", self._problem) if self._problem is not None else ("running", None)

    async def _check(self) -> None:
        from psycopg import ProgrammingError
        from psycopg.conninfo import conninfo_to_dict

        try:
            given = conninfo_to_dict(self._settings.url)
        except ProgrammingError as error:
            raise Unavailable(
                f"PostgresSettings.url can't be read: {str(error).strip()}.",
                "Write postgresql://user:password@host:5432/postgres.",
            ) from None
        self._conninfo = {"dbname": "postgres", "port": "5432"} | {
            name: str(value) for name, value in given.items() if value is not None
        }
        identifier, version = await ping(self._conninfo, PROBE_SECONDS)
        await self._connections.open(self._conninfo, version)
        async with self._connections.use() as connection:
            rows = await connection.execute(
                "SELECT rolsuper FROM pg_roles WHERE rolname = current_user"
            )
            row = await rows.fetchone()
        if not (row and row[0]):
            raise Unavailable(
                "PostgresSettings.url names a role that is no superuser.",
                "Without one users' databases can't be kept apart.",
            )
        await self._claim(identifier)
