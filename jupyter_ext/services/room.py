"""Everything about services, put together: what the application starts and stops."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path

from ..containers.doors import Door
from ..errors import Conflict
from ..events.bus import Bus
from ..postgres.service import PostgresService
from ..system.manager import Probe
from .child import PLACE
from .jupyter import Host, Journal, JupyterUnit
from .manager import ServiceManager
from .postgres import PostgresUnit
from .settings import ServiceSettings
from .supervised import Supervised
from .systemd import SystemdUnit

EDITOR = "vscode"

EDITOR_CURE = (
    "Install the package code-server of your system, or set ServiceSettings.vscode_command, or: "
    "`npm install --global code-server`"
)
SECRET = "HASHED_PASSWORD"  # noqa: S105 - the name of a variable
"""By which code-server takes a password as its SHA-256 in hexadecimal digits; its session's cookie
holds the same text. Nobody knows a password to the random one that it is given."""


COOKIE = "code-server-session"


class ServiceRoom:
    """The services of one server.

    Parameters
    ----------
    log
        The server's own.
    home
        Folder of all state.
    notebooks
        Where the editor starts.
    """

    def __init__(
        self,
        settings: ServiceSettings,
        bus: Bus,
        postgres: PostgresService,
        host: Host,
        log: logging.Logger,
        *,
        home: Path,
        notebooks: Path,
    ) -> None:
        self.manager = ServiceManager(bus)
        self._log = log
        self._journal = Journal()
        log.addHandler(self._journal)
        warn = partial(self.manager.warn, JupyterUnit.name)
        self._jupyter = JupyterUnit(host, self._journal, settings.warning_seconds, warn)
        self.editor = Supervised(
            EDITOR,
            settings.vscode_command,
            secret_variable=SECRET,
            folder=Path(settings.vscode_folder or notebooks),
            place=home / PLACE,
            cure=EDITOR_CURE,
            ready_seconds=settings.vscode_start_seconds,
        )
        for unit in (PostgresUnit(postgres), self._jupyter, self.editor):
            self.manager.add(unit)
        for text in settings.systemd_units:
            self.manager.add(SystemdUnit(text))

    @property
    def probes(self) -> dict[str, Probe]:
        """How each is, for the state of the whole."""
        return {name: partial(self.manager.probe, name) for name in self.manager.states()}

    def editor_door(self) -> Door:
        """Return the way to the editor.

        Raises
        ------
        Conflict
            It does not run.
        """
        child = self.editor.child
        if child is None:
            raise Conflict(
                "service",
                EDITOR,
                f"{EDITOR} does not run. Start it (`pig start {EDITOR}`), and open the page again.",
            )
        return Door(
            cid=None,
            name=EDITOR,
            owner=None,
            engine_id=child.run,
            started_at=None,
            inside=child.port,
            host="127.0.0.1",
            port=child.port,
            password=None,
            cookie=f"{COOKIE}={child.secret}",
        )

    async def start(self) -> None:
        """Find what runs, start what ran before, and watch."""
        await self.editor.begin()
        self.manager.start()

    async def stop(self) -> None:
        """End what only this server gives a meaning, unless it comes back at once."""
        await self.manager.stop()
        await self.editor.end(leave=self._jupyter.restarts)
        self._log.removeHandler(self._journal)
