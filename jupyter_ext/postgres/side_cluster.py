"""A restored cluster, beside the running one: recovered, and proved before anybody trusts it.

Source: PostgreSQL's documentation, "Continuous Archiving and Point-in-Time Recovery" and "Archive
Recovery" of the server configuration.
"""

from __future__ import annotations

import asyncio
import re
import shlex
import time
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from ..errors import Conflict, InvalidRequest, PlatformError, Unavailable
from . import postmaster
from .connections import connected
from .files import admit, make_private
from .owned_files import (
    is_full,
    make_folder,
    no_room,
    on_disk,
    read_end,
    remove_folders,
)
from .pgbackrest import tablespaces
from .pgbackrest_program import Progress
from .phases import Enter, RestorePhase, unheard
from .place import Place
from .postmaster import Postmaster
from .processes import ProgramFailed, run
from .proof import Proof, prove, read_recovery
from .sources import Source

STOP_SECONDS = 120

PAUSE = 0.05
"""Seconds between two looks at whether the recovery is over."""

STATE_LINE = 7
"""Of the file of the running process, counted from 0."""

RECOVERY_SETTINGS = (
    "archive_mode",
    "recovery_target",
    "recovery_target_action",
    "recovery_target_time",
    "recovery_target_timeline",
    "restore_command",
)
"""What pgBackRest writes into a restored cluster."""


class SideCluster:
    """A restored cluster that runs beside its origin, with a port and a socket of its own.

    Parameters
    ----------
    origin
        The cluster that was backed up: its programs and its user are this one's too.
    folder
        Where all of it lies. Must not be there yet; its user must be able to enter those above.
    sockets
        Of its Unix socket, short enough for its path to have at most 107 bytes.
    port
        In the socket's name, and of TCP once it listens there.
    """

    def __init__(self, origin: Place, folder: Path, sockets: Path, port: int) -> None:
        self.folder = folder
        self.place = replace(origin, data=folder / "data", sockets=sockets, port=port)
        self.log = folder / "server.log"

    async def recover(
        self,
        source: Source,
        *,
        keep_wal: bool = False,
        progress: Progress | None = None,
        enter: Enter = unheard,
        deadline: float = 6 * 3600,
    ) -> Proof:
        """Fill it from a source and recover it; prove that it starts, reads, came where it should.

        Nobody but the superuser reaches it meanwhile. It never writes to the archive. Where
        anything fails, all of it is removed.

        Parameters
        ----------
        keep_wal
            It is meant to take its origin's place: the WAL and the history of its new timeline wait
            in its folder until it archives. Otherwise they go away.
        deadline
            Seconds for the recovery, which comes after what `progress` tells of.

        Raises
        ------
        Conflict
            Something is there already.
        OtherFiles
            By the moment a name had become another database's than the one in the backup.
        InvalidRequest
            The archive does not reach the moment.
        NotFound
            There is no such backup or database.
        Unavailable
            It can't be restored, does not start, or can't be read.
        """
        if await on_disk(self.folder.exists):
            raise Conflict("folder", self.folder, f"{self.folder} is there already.")
        begun = time.monotonic()
        try:
            await on_disk(partial(make_folder, self.folder, self.place.user))
            enter(RestorePhase.COPYING)
            numbers = await source.numbers()
            settings = await source.fill(self.place.data, progress)
            enter(RestorePhase.RECOVERING)
            await self._start(self._quiet(keep_wal) | dict(settings))
            async with asyncio.timeout(deadline):
                ended = await self._recovered()
            log = await on_disk(partial(read_end, self.log))
            if not ended:
                raise await on_disk(partial(self._why, source.to, log))
            enter(RestorePhase.PROVING)
            recovery = read_recovery(log)
            return await prove(self.place, recovery, source.to, source.databases, begun, numbers)
        except ProgramFailed as error:
            log = await on_disk(self._read_log) or str(error)
            problem = await on_disk(partial(self._why, source.to, log))
            await self.discard()
            raise problem from error
        except TimeoutError as error:
            await self.discard()
            raise Unavailable(
                f"The restored cluster did not recover within {deadline:g} s.",
                "Restore a newer backup, from which less WAL is played back.",
            ) from error
        except BaseException:
            await self.discard()
            raise

    async def serve(self, listen: str = "127.0.0.1", *, to: str | None = None) -> None:
        """Let users in, once it was proved: on `listen` and its port.

        Parameters
        ----------
        to
            The one role that comes in; None: who may by its own files, which are as old as it is.
        """
        await self.stop()
        if to is not None:
            access = partial(admit, self.place.data, self.place.user, to)
            await on_disk(access)
        # Its own files may name the log of its origin.
        quiet = {"archive_mode": "off", "logging_collector": "off", "log_destination": "stderr"}
        await self._start({"listen_addresses": listen, **quiet})

    async def hand_over(self) -> None:
        """Stop it for good, so that its data can take the place of its origin's.

        What pgBackRest set for the recovery is taken back. Started with the origin's settings it
        archives first what it wrote until now.
        """
        async with connected(self.place) as connection:
            for setting in RECOVERY_SETTINGS:
                await connection.execute(f"ALTER SYSTEM RESET {setting}")
        await self.stop()

    async def stop(self, mode: str = "fast") -> None:
        """Stop it; nothing happens where it does not run."""
        if await on_disk(self.find) is not None:
            await self._control("stop", "-m", mode, "-t", str(STOP_SECONDS))

    async def discard(self) -> None:
        """Stop it and remove all of it; what became its origin's is not its own any more."""
        with suppress(ProgramFailed):
            await self.stop("immediate")
        data, sockets = self.place.data, self.place.sockets
        # Without the data the tablespaces are those of the live cluster. It goes last, so that this
        # holds when the removal breaks off.
        spaces = [tablespaces(data)] if await on_disk(data.exists) else []
        await remove_folders(self.place.user, *spaces, sockets, data)

        def remove() -> None:
            self.log.unlink(missing_ok=True)
            with suppress(OSError):
                self.folder.rmdir()

        await on_disk(remove)

    def find(self) -> Postmaster | None:
        """Return its server process; None where none runs."""
        return postmaster.find(self.place.data)

    def _quiet(self, keep_wal: bool) -> dict[str, str]:
        """Return the settings for the recovery and the proof."""
        return {
            "listen_addresses": "",
            # Standby queries would demand settings at least as large as the origin's were.
            "hot_standby": "off",
            # With an empty command PostgreSQL keeps the WAL until there is one.
            "archive_mode": "on" if keep_wal else "off",
            "archive_command": "",
            "autovacuum": "off",
            "logging_collector": "off",
            "log_destination": "stderr",
            "log_min_messages": "warning",
            "log_line_prefix": "%m [%p] ",
            "lc_messages": "C",
            "ssl": "off",
        }

    async def _start(self, settings: dict[str, str]) -> None:
        # Who sees what is restored may have made it first, where all may make folders.
        await on_disk(partial(make_private, self.place.sockets, self.place.user))
        settings = settings | {
            "port": str(self.place.port),
            "unix_socket_directories": str(self.place.sockets),
            # Its configuration may name those of its origin.
            "hba_file": str(self.place.data / "pg_hba.conf"),
            "ident_file": str(self.place.data / "pg_ident.conf"),
        }
        options = shlex.join(f"--{name}={value}" for name, value in settings.items())
        await on_disk(partial(self.log.unlink, missing_ok=True))
        words = ("start", "-w", "-l", str(self.log), "-o", options)
        starting = asyncio.ensure_future(self._control(*words))
        try:
            await asyncio.shield(starting)
        except asyncio.CancelledError:
            # It takes a moment, and a process that has not written down its number can't be found.
            await asyncio.gather(starting, return_exceptions=True)
            raise

    async def _recovered(self) -> bool:
        """Wait until the recovery is over; return whether the cluster still runs.

        ``pg_ctl`` does not wait for that where there is no hot standby. A line of the process's
        file has its state: source ``src/include/utils/pidfile.h``.
        """
        file = self.place.data / "postmaster.pid"
        while await on_disk(self.find) is not None:
            with suppress(FileNotFoundError):
                lines = (await on_disk(partial(read_end, file))).splitlines()
                if len(lines) > STATE_LINE and lines[STATE_LINE].strip() == "ready":
                    return True
            await asyncio.sleep(PAUSE)
        return False

    async def _control(self, *words: str) -> None:
        command = [self.place.programs["pg_ctl"], "-D", str(self.place.data), "-s", *words]
        await run(command, user=self.place.user, deadline=2 * STOP_SECONDS)

    def _read_log(self) -> str:
        try:
            return read_end(self.log)
        except OSError:
            return ""

    def _why(self, to: datetime | None, log: str) -> PlatformError:
        """Return why it did not start, from what it wrote into its log."""
        if is_full(self.folder):
            # Then it could not even write that.
            return no_room(self.folder)
        recovery = read_recovery(log)
        moment = to.astimezone(UTC).isoformat() if to is not None else "the backup's end"
        if "recovery ended before configured recovery target was reached" in log:
            last = recovery.last_commit
            until = f"the last transaction in it ended at {last.isoformat()}" if last else "it"
            return InvalidRequest(
                f"{moment} can't be reached: the archive ends before it ({until}).",
                fields={"target_time": "is after the end of the archive"},
            )
        if "requested recovery stop point is before consistent recovery point" in log:
            return InvalidRequest(
                f"{moment} can't be reached: it is before the end of the backup.",
                fields={"target_time": "is before the end of the backup"},
            )
        if found := re.search(r"(?:requested|recovery target) timeline \d+ [^\n]*", log):
            return InvalidRequest(
                f"{moment} can't be reached from this backup: {found[0]}.",
                fields={"timeline": "does not follow from this backup"},
            )
        # The last one is only that the first one ended the start.
        last_words = recovery.errors[0] if recovery.errors else log.strip().rpartition("\n")[2]
        return Unavailable(f"The restored cluster does not start: {last_words}.")
