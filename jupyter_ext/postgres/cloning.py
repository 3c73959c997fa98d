"""Copies of databases, by the fastest way that the server, and who is in them, leave."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ..errors import Conflict, Unavailable
from .catalog import COPY_FILES, FILLED, Catalog
from .connections import Connections, connected, without_way
from .phases import Enter, MakingPhase, unheard
from .place import Place
from .processes import ProgramFailed, SystemUser, clean_environment
from .programs import Programs
from .roles import Login
from .sessions import endless

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from psycopg import AsyncConnection

    from ..operations.running import Progress

ERROR_BYTES = 8192
"""Of what a program said that are shown of its failure."""

DELETION_LOOKS = 10
"""How often, a tenth of a second apart, a database is looked for whose copy failed."""

LOCK_SECONDS = 30
"""That a dump waits for a table which somebody has locked."""

# `elsewhere`: whether it lies in another schema than `Catalog.enable` would put it into.
_EXTENSIONS = (
    "SELECT e.extname, n.nspname, v.schema IS NULL AND n.nspname <> 'public', v.trusted"
    " FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace"
    " LEFT JOIN pg_available_extension_versions v"
    " ON v.name = e.extname AND v.version = e.extversion"
    " WHERE e.extname <> 'plpgsql' ORDER BY e.oid"
)


class Cloner:
    """Copies databases.

    Parameters
    ----------
    programs
        Returns PostgreSQL's programs, the system user who runs them, and how the superuser
        connects; asked when it is needed.
    """

    def __init__(
        self,
        catalog: Catalog,
        connections: Connections,
        programs: Callable[[], Awaitable[tuple[Programs, SystemUser, Mapping[str, str]]]],
    ) -> None:
        self._catalog = catalog
        self._connections = connections
        self._programs = programs

    async def clone(
        self,
        source: str,
        name: str,
        owner: Login,
        mark: str,
        burden: tuple[int, int],
        *,
        schema_only: bool,
        progress: Progress,
    ) -> bool:
        """Make a closed database with the content of another.

        Parameters
        ----------
        owner
            Of the copy.
        mark
            As for `Catalog.create`.
        burden
            What `Catalog.burden` said of the source.

        Returns
        -------
        bool
            Whether its files were copied, and not what is in them.

        Raises
        ------
        Conflict
            There is one of this name.
        Unavailable
            It can't be copied; what is there of it is to be dropped by the caller.
        """
        people, size = burden
        if not schema_only and people == 0:
            progress.enter(MakingPhase.COPYING)
            try:
                await self._catalog.create(
                    name, owner.role, mark, template=source, copy=size >= COPY_FILES
                )
            except Conflict as error:
                # Somebody came in since.
                if "in use" not in error.message:
                    raise
            else:
                progress.enter(MakingPhase.COPIED)
                return True
        await progress.update(message=f"Copying {source}, in which somebody works")
        await self.pour(source, name, owner, mark, schema_only=schema_only, enter=progress.enter)
        return False

    async def pour(
        self,
        source: str,
        name: str,
        owner: Login,
        mark: str,
        *,
        schema_only: bool = False,
        enter: Enter = unheard,
    ) -> None:
        """Do so by a dump: whoever is in the source, and whose ever it is, all is `owner`'s then.

        Raises
        ------
        Conflict
            There is one of this name; somebody holds a lock in the source; or an extension of it
            can't be brought along.
        NotFound
            The source was deleted meanwhile.
        Unavailable
            It can't be copied; what is there of it is to be dropped by the caller.
        """
        enter(MakingPhase.CREATING)
        await self._catalog.create(name, owner.role, mark)
        enter(MakingPhase.EXTENDING)
        async with self._connections.to(source) as connection:
            brought = await self._copy_extensions(connection, source, name)
        enter(MakingPhase.ADMITTING)
        await self._catalog.open(name, owner.role, FILLED)
        enter(MakingPhase.DUMPING)
        await self._restore(source, name, owner, mark, brought, schema_only=schema_only)
        enter(MakingPhase.FILLED)

    async def load(self, origin: Place, source: str, name: str, owner: Login, mark: str) -> None:
        """Make a closed database with the content of one in another cluster.

        Parameters
        ----------
        origin
            That cluster, of this machine.
        owner, mark
            As for `clone`.

        Raises
        ------
        Conflict
            There is one of this name, or an extension of it can't be brought along.
        Unavailable
            It can't be copied; what is there of it is to be dropped by the caller.
        """
        await self._catalog.create(name, owner.role, mark)
        async with connected(origin, source) as connection:
            brought = await self._copy_extensions(connection, source, name)
        await self._catalog.open(name, owner.role, FILLED)
        await self._restore(source, name, owner, mark, brought, schema_only=False, origin=origin)

    async def _copy_extensions(
        self, connection: AsyncConnection[Any], source: str, name: str
    ) -> Sequence[str]:
        """Have what the owner could not put there, before its objects come.

        Parameters
        ----------
        connection
            To the source.

        Returns
        -------
        Sequence[str]
            Those that lie in a schema which the dump alone brings, and so have to come with it.
        """
        rows = await connection.execute(_EXTENSIONS)
        found = await rows.fetchall()
        brought = []
        for extension, schema, elsewhere, trusted in found:
            if elsewhere and not trusted:
                raise Conflict(
                    "database",
                    source,
                    f"The extension {extension}, which only an administrator adds, lies in the "
                    f"schema {schema}: {source} can't be copied by a dump. Clone it to its owner "
                    "while nobody is in it, or restore the whole cluster.",
                )
            if elsewhere:
                brought.append(extension)
        await self._catalog.enable(name, [row[0] for row in found if row[0] not in brought])
        return brought

    async def _restore(
        self,
        source: str,
        name: str,
        owner: Login,
        mark: str,
        extensions: Sequence[str],
        *,
        schema_only: bool,
        origin: Place | None = None,
    ) -> None:
        """Dump as the superuser, and restore as the owner: what a dump says is its owner's code."""
        programs, user, conninfo = await self._programs()
        place = {"PGHOST": conninfo["host"], "PGPORT": conninfo["port"], "PGAPPNAME": mark}
        # pg_restore is idle for as long as pg_dump reads.
        common = clean_environment(user) | place | {"PGOPTIONS": endless(self._connections.version)}
        dump = [programs["pg_dump"], "--format=custom", "--compress=0", "--no-owner"]
        dump += ["--no-privileges", "--no-publications", "--no-subscriptions"]
        # The others are there already; their owner is another one than who restores.
        dump += [f"--extension={_pattern(each)}" for each in ("plpgsql", *extensions)]
        dump += [
            f"--lock-wait-timeout={LOCK_SECONDS}s",
            *(["--schema-only"] if schema_only else []),
        ]
        dump += ["--dbname", _conninfo(source)]
        restore = [programs["pg_restore"], "--exit-on-error", "--no-owner", "--no-privileges"]
        restore += ["--dbname", _conninfo(name)]
        as_super = common | {"PGUSER": conninfo["user"]}
        if password := conninfo.get("password"):
            as_super["PGPASSWORD"] = password
        there = as_super
        if origin is not None:
            there = as_super | {"PGHOST": str(origin.sockets), "PGPORT": str(origin.port)}
        as_owner = common | {"PGUSER": owner.role, "PGPASSWORD": owner.password}
        if owner.role == conninfo["user"]:
            as_owner = as_super
        reading, writing = os.pipe()
        started: list[asyncio.subprocess.Process] = []
        try:
            for command, environment, stdin, stdout in (
                (dump, there, asyncio.subprocess.DEVNULL, writing),
                (restore, as_owner, reading, asyncio.subprocess.DEVNULL),
            ):
                started.append(
                    await asyncio.create_subprocess_exec(
                        *command,
                        env=environment,
                        cwd="/",
                        stdin=stdin,
                        stdout=stdout,
                        stderr=asyncio.subprocess.PIPE,
                        start_new_session=True,
                        **user.switch(),
                    )
                )
        except OSError as error:
            await _kill(started)
            raise Unavailable(f"{source} can't be copied: {error}.") from error
        finally:
            os.close(reading)
            os.close(writing)
        try:
            said = await asyncio.gather(*map(_tail, started))
        except BaseException:
            await _kill(started)
            raise
        for process, words, program in zip(started, said, ("pg_dump", "pg_restore"), strict=True):
            if not process.returncode:
                continue
            # pg_dump's only one: that of its locks.
            if program == "pg_dump" and "due to statement timeout" in words:
                raise Conflict(
                    "database",
                    source,
                    f"Somebody holds a lock on a table of {source} for more than {LOCK_SECONDS} "
                    "seconds. Let them end their transaction, and try again.",
                )
            if program == "pg_dump" and origin is None:
                await self._see_deletion(source)
            failure = ProgramFailed(program, process.returncode, without_way(words))
            raise Unavailable(f"{source} could not be copied: {failure}")

    async def _see_deletion(self, source: str) -> None:
        """Raise `NotFound` where a source goes, which first ends the session that copies it."""
        for _ in range(DELETION_LOOKS):
            await self._catalog.find(source)
            await asyncio.sleep(0.1)


async def _tail(process: asyncio.subprocess.Process) -> str:
    """Wait for a program, and return the end of what it said."""
    assert process.stderr is not None  # noqa: S101 - it is a pipe
    kept = b""
    while words := await process.stderr.read(ERROR_BYTES):
        kept = (kept + words)[-ERROR_BYTES:]
    await process.wait()
    return kept.decode(errors="replace")


async def _kill(processes: list[asyncio.subprocess.Process]) -> None:
    for process in processes:
        with suppress(ProcessLookupError):
            process.kill()
    await asyncio.gather(*(process.wait() for process in processes))


def _pattern(name: str) -> str:
    """Write a name so that pg_dump takes it as it is."""
    return '"' + name.replace('"', '""') + '"'


def _conninfo(database: str) -> str:
    """Name a database so that no name is taken for a whole connection string."""
    quoted = database.replace("\\", "\\\\").replace("'", "\\'")
    return f"dbname='{quoted}'"
