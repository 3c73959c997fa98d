"""The product's own PostgreSQL: made when it is first needed, found again, kept running."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import cached_property, partial
from pathlib import Path

from ..devices.threads import in_a_thread
from ..errors import Conflict, PlatformError, Unavailable
from ..system.schemas import Problem
from . import files, postmaster
from .connections import connected, ping
from .files import Record
from .initdb import make_cluster
from .owned_files import on_disk, shorten
from .phases import Enter, RestorePhase, unheard
from .place import Place
from .postmaster import Postmaster
from .processes import SystemUser
from .programs import find_programs, places
from .settings import PostgresSettings

THREAD = "jupyter_ext-postgres"
"""The name of threads that look at files: a disk may hang, and then holds up nobody else."""

LOOK_INTERVAL = 1.0
"""Seconds between two looks whether the process lives."""

BACKOFF = (1.0, 2.0, 5.0, 15.0, 60.0)
"""Seconds before it is started again; one that has lived for a minute begins at the first."""

STEADY = 60.0

LOG_SECONDS = 5.0
"""Between two looks at how long the log is: what users get wrong is in it, word by word."""

LARGEST_LOG = 64 << 20
KEPT_LOG = 8 << 20

ANSWER_SECONDS = 10.0

Claim = Callable[[str], Awaitable[None]]
"""Writes into the store whose cluster the users' databases lie in; refuses another one."""

_log = logging.getLogger(__name__)


class Cluster:
    """One cluster of this machine.

    Parameters
    ----------
    home
        The folder that remembers where it lies.
    folder
        What `JupyterExt.cluster_dir` says.
    claim
        Called with the system identifier of a cluster before it is used.
    """

    def __init__(self, settings: PostgresSettings, home: Path, folder: str, claim: Claim) -> None:
        self._settings = settings
        self._home = home
        self._chosen = folder
        self._claim = claim
        self._changing = asyncio.Lock()
        self._watching: asyncio.Task[None] | None = None
        self._wanted = True
        self._process: Postmaster | None = None
        self._place: Place | None = None
        self._problem: Problem | None = None
        self._on_start: list[Callable[[Place], Awaitable[None]]] = []
        self._more: Callable[[Place], Awaitable[Mapping[str, str]]] | None = None

    @property
    def process(self) -> Postmaster | None:
        """Its server process, where one runs."""
        return self._process if self._process is not None and self._process.alive else None

    @property
    def port(self) -> int | None:
        """Of 127.0.0.1; None before it was made."""
        return self._place.port if self._place is not None else None

    @property
    def log(self) -> Path | None:
        """What it logs; None before it was made."""
        return self._folder_of(self._place) / "postgresql.log" if self._place else None

    @property
    def made(self) -> bool:
        """Whether there is one."""
        return (self._home / files.RECORD).exists()

    def probe(self) -> tuple[str, Problem | None]:
        """Return its state and its problem, from memory."""
        if self.process is not None and self._problem is None:
            return "running", None
        if self._problem is not None:
            return "failed", self._problem
        if not self.made and not self._installed:
            return "not_installed", None
        return "stopped", None

    def on_start(self, call: Callable[[Place], Awaitable[None]]) -> None:
        """Call ``await call(place)`` whenever it has been started or found."""
        self._on_start.append(call)

    def ask_for_settings(self, call: Callable[[Place], Awaitable[Mapping[str, str]]]) -> None:
        """Have ``await call(place)`` name further settings whenever it is configured."""
        self._more = call

    async def replace(
        self,
        data: Path,
        kept: Path,
        prepare: Callable[[Place], Awaitable[None]],
        enter: Enter = unheard,
    ) -> Place:
        """Let another data directory of this cluster take the place of its own.

        Parameters
        ----------
        data
            On the same file system; stopped after `prepare`.
        kept
            Where its own goes.
        prepare
            Called as the last thing before it is stopped, when nobody can log in any more.

        Raises
        ------
        Unavailable
            It does not start with the other one, and goes on with its own; or that one can't be
            taken out again, which is said.
        """
        async with self._changing:
            place = await self._run()
            try:
                enter(RestorePhase.CLOSING)
                await self.close(place)
                await prepare(place)
                enter(RestorePhase.STOPPING)
                await postmaster.stop(place)
            except BaseException:
                await self.open_again(place)
                raise
            self._process = None
            swapped = False
            try:
                enter(RestorePhase.SWAPPING)
                await in_a_thread(partial(files.swap, place.data, data, kept), THREAD)
                swapped = True
                enter(RestorePhase.OPENING)
                return await self._run()
            except BaseException as error:
                if swapped:
                    await self._swap_back(place, data, kept, error)
                await self._run()
                raise

    async def _swap_back(self, place: Place, data: Path, kept: Path, why: BaseException) -> None:
        try:
            # Nobody was let in, and it is thrown away: nothing of it has to be written.
            await postmaster.stop(place, "immediate")
            await in_a_thread(partial(files.swap, place.data, kept, data), THREAD)
        except PlatformError as error:
            raise Unavailable(
                f"What was restored took the cluster's place and failed there ({why}). It could "
                f"not be taken out again ({error}), and is started again as it is.",
                f"What was there before is in {kept}: stop PostgreSQL (`pig stop postgres`) and "
                f"rename the folder to {place.data}, with that one out of its way.",
            ) from why

    @property
    def folder(self) -> Path:
        """Where all of it lies.

        Raises
        ------
        Unavailable
            There is none.
        """
        record = Record.read(self._home)
        if record is None:
            raise Unavailable("No database was made here yet.", "Make one.")
        return Path(record.folder)

    async def reload(self) -> None:
        """Have it read settings again that need no restart.

        Raises
        ------
        Unavailable
            It does not run.
        """
        place = await self.need()
        await self._reload(place, closed=await self.is_closed(place))

    async def close(self, place: Place) -> None:
        """Let nobody log in but the superuser, also after a start, until `open_again`.

        Who is in stays. A crash leaves it closed, until the next server has seen to all that
        `on_start` asks for.
        """
        mark = partial(files.write_as, files.closed_mark(place), "", place.user)
        await on_disk(mark)
        await self._reload(place, closed=True)

    async def open_again(self, place: Place) -> None:
        """Let in who may; where that fails it is tried again, and the status says so."""
        try:
            await self._open(place)
        except PlatformError as error:
            self._process = None
            self._problem = Problem(
                service="postgres",
                what=f"PostgreSQL lets nobody in: {error.message}",
                cure=getattr(error, "cure", ""),
            )
            _log.warning("%s", self._problem.what)

    async def _open(self, place: Place) -> None:
        await self._reload(place, closed=False)
        # Not before: by the mark it is found where it could not be written who may come in.
        await in_a_thread(partial(files.closed_mark(place).unlink, missing_ok=True), THREAD)

    async def is_closed(self, place: Place) -> bool:
        """Whether it lets nobody in: what is there may be another moment's."""
        return await in_a_thread(files.closed_mark(place).exists, THREAD)

    async def _reload(self, place: Place, *, closed: bool) -> None:
        await self._configure(place, closed=closed)
        async with connected(place) as connection:
            await connection.execute("SELECT pg_reload_conf()")

    # -- life ----------------------------------------------------------------------------------

    def begin(self) -> None:
        """Start what was made before, in the background, and keep it running."""
        if self._watching is None:
            self._watching = asyncio.get_running_loop().create_task(self._watch())

    async def end(self) -> None:
        """Watch no more, and stop it where that is configured."""
        watching, self._watching = self._watching, None
        if watching is not None:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
        if self._settings.stop_with_server and self._place is not None:
            await postmaster.stop(self._place)

    async def need(self) -> Place:
        """Return it running, made first where there is none.

        Raises
        ------
        Unavailable
            It can't be made or started, or somebody has stopped it.
        """
        if self.process is not None and self._place is not None and self._problem is None:
            return self._place
        if not self._wanted:
            raise Unavailable("PostgreSQL was stopped.", "`pig start postgres` starts it.")
        async with self._changing:
            return await self._run()

    async def start(self) -> None:
        """Start it because somebody asked for it.

        Raises
        ------
        Unavailable
            It does not start.
        """
        self._wanted = True
        async with self._changing:
            await self._run()

    async def stop(self) -> None:
        """Stop it, and leave it so until somebody starts it, or the next server does.

        Raises
        ------
        Conflict
            There is none.
        Unavailable
            It does not stop.
        """
        async with self._changing:
            if not self.made:
                raise Conflict("service", "postgres", "No database was ever made here.")
            self._wanted = False
            place = self._place
            if place is None:
                place = await in_a_thread(self._found_place, THREAD)
            await postmaster.stop(place)
            self._process = None
            self._problem = None

    # -- inside --------------------------------------------------------------------------------

    @cached_property
    def _installed(self) -> bool:
        return any(
            (Path(folder) / "postgres").is_file()
            for folder in ([self._settings.programs] if self._settings.programs else places())
        )

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        attempt, since, looked = 0, loop.time(), 0.0
        while True:
            try:
                if loop.time() - looked > LOG_SECONDS and (log := self.log) is not None:
                    looked = loop.time()
                    await in_a_thread(partial(_shorten, log), THREAD)
                if self._wanted and self.made and self.process is None:
                    async with self._changing:
                        if self._wanted:
                            await self._run()
                            since = loop.time()
                elif loop.time() - since > STEADY:
                    attempt = 0
            except PlatformError as error:
                self._problem = Problem(
                    service="postgres", what=error.message, cure=getattr(error, "cure", "")
                )
                _log.warning("%s", error)
            except Exception:
                _log.exception("PostgreSQL could not be looked after")
            if self._wanted and self.made and self.process is None:
                await asyncio.sleep(BACKOFF[min(attempt, len(BACKOFF) - 1)])
                attempt += 1
            else:
                await asyncio.sleep(LOOK_INTERVAL)

    async def _run(self) -> Place:
        """See that it runs; whoever calls holds the lock."""
        if self.process is not None and self._place is not None and self._problem is None:
            return self._place
        try:
            record = Record.read(self._home) or await make_cluster(
                self._settings, self._home, self._chosen
            )
            await self._finish(record)
            place = self._place = await in_a_thread(self._found_place, THREAD)
            process = postmaster.find(place.data)
            if process is None:
                place = self._place = await self._start(place)
                process = postmaster.find(place.data)
            found, _ = await ping(place.conninfo(), ANSWER_SECONDS, place.programs.version)
            if found != record.system_identifier:
                raise Unavailable(
                    f"The cluster in {place.data} is another one than {self._home / files.RECORD} "
                    "says.",
                    "Put the right one back, or take the file away to begin anew.",
                )
            await self._claim(found)
            for call in self._on_start:
                await call(place)
            if await self.is_closed(place):
                await self._open(place)
            # Not before: what keeps users apart is done by these calls.
            self._process = process
            self._problem = None
        except PlatformError as error:
            self._process = None
            self._problem = Problem(
                service="postgres", what=error.message, cure=getattr(error, "cure", "")
            )
            raise
        return place

    async def _finish(self, record: Record) -> None:
        """Put a new cluster into its place, which was recorded before: a crash may lie between."""
        folder = Path(record.folder)
        data, new = folder / "data", folder / "data.new"
        if data.exists() or not new.exists():
            return
        await self._claim(record.system_identifier)
        await in_a_thread(partial(new.rename, data), THREAD)

    def _found_place(self) -> Place:
        record = Record.read(self._home)
        if record is None:
            raise Unavailable("No database was made here yet.", "Make one.")
        folder = Path(record.folder)
        data = folder / "data"
        if not (data / "PG_VERSION").exists():
            raise Unavailable(f"The databases' folder {data} is not there.", "Is its disk mounted?")
        files.check_file_system(data)
        user = _owner_of(data)
        programs = find_programs(self._settings.programs, record.version)
        sockets = files.socket_folder(folder, record.port, user)
        return Place(data, sockets, record.port, user, programs)

    async def _start(self, place: Place) -> Place:
        record = Record.read(self._home)
        assert record is not None  # noqa: S101 - `place` was made of it
        port = await in_a_thread(
            partial(files.free_port, self._settings.port or record.port), THREAD
        )
        if port != record.port:
            _log.warning("Port %d of the databases is taken; they are at %d now", record.port, port)
            Record(record.folder, port, record.system_identifier, record.version).write(self._home)
            place = await in_a_thread(self._found_place, THREAD)
        await self._configure(place, closed=await self.is_closed(place))
        await postmaster.start(place, self._folder_of(place) / "start.log")
        return place

    async def _configure(self, place: Place, *, closed: bool) -> None:
        configure = partial(
            files.configure,
            place.data,
            place.user,
            sockets=place.sockets,
            port=place.port,
            address=self._settings.bind_address,
            log=str(self._folder_of(place)),
            closed=closed,
            more=await self._more(place) if self._more is not None else {},
        )
        await on_disk(configure)

    @staticmethod
    def _folder_of(place: Place) -> Path:
        return place.data.parent


def _shorten(log: Path) -> None:
    try:
        shorten(log, LARGEST_LOG, KEPT_LOG)
    except OSError as error:
        _log.debug("%s could not be shortened: %s", log, error)


def _owner_of(data: Path) -> SystemUser:
    import pwd

    uid = data.stat().st_uid
    try:
        return SystemUser.named(pwd.getpwuid(uid).pw_name)
    except KeyError:
        raise Unavailable(
            f"{data} belongs to user {uid}, whom this machine does not know.",
            "Give it to PostgreSQL's user.",
        ) from None
