"""Units of systemd that are listed as services: it runs them, and is asked and told."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from pathlib import Path

from ..devices.threads import in_a_thread
from ..errors import Unavailable
from ..postgres.processes import ProgramFailed, SystemUser, run
from ..system.schemas import Problem
from . import logs
from .supervised import THREAD
from .unit import ALL_ACTIONS, State

RUNNING = Path("/run/systemd/system")
"""Is there where systemd is the machine's first process (sd_booted(3))."""

UNIT = re.compile(r"[A-Za-z0-9:_.@-]{1,200}\.service")
"""systemd.unit(5); other kinds are no processes."""

PROPERTIES = "LoadState,ActiveState,SubState,Result,MainPID,MemoryCurrent"
"""Of `systemctl show` (org.freedesktop.systemd1(5))."""

FRESH_SECONDS = 2.0
SECONDS = 10.0
ACT_SECONDS = 100.0
"""systemd gives a unit 90 s by default."""

STATES = {
    "active": "running",
    "reloading": "running",
    "activating": "starting",
    "deactivating": "stopping",
    "inactive": "stopped",
    "failed": "failed",
}

ABSENT = "systemd does not run on this machine."
CURE = "Take the unit out of ServiceSettings.systemd_units."


def unit_name(text: str) -> str:
    """Return a unit's full name.

    Raises
    ------
    ValueError
        It is none of a service.
    """
    name = text if "." in text else f"{text}.service"
    if not UNIT.fullmatch(name) or name.startswith("-"):
        raise ValueError(f"{text!r} is no name of a service of systemd")
    return name


class SystemdUnit:
    """One unit."""

    kind = "systemd"

    def __init__(self, text: str) -> None:
        self._unit = unit_name(text)
        self.name = self._unit.removesuffix(".service")
        self._state = State("unavailable", actions=())
        self._read = 0.0

    def state(self) -> State:
        """Return how it was when systemd was last asked."""
        return self._state

    async def refresh(self) -> None:
        """Ask systemd, where that was not done a moment ago."""
        if time.monotonic() - self._read < FRESH_SECONDS:
            return
        try:
            printed = await self._systemctl("show", f"--property={PROPERTIES}", deadline=SECONDS)
        except Unavailable as error:
            problem = Problem(service=self.name, what=error.what, cure=error.cure)
            self._state = State("unavailable", problem=problem, actions=())
        else:
            self._state = parse(self.name, printed)
        self._read = time.monotonic()

    async def start(self) -> None:
        """Have systemd start it."""
        await self._act("start")

    async def stop(self) -> None:
        """Have systemd stop it."""
        await self._act("stop")

    async def restart(self) -> None:
        """Have systemd restart it."""
        await self._act("restart")

    async def logs(self, tail: int, since: datetime | None) -> Sequence[str]:
        """Return the end of its journal."""
        options = [f"--lines={tail}", "--output=short-iso-precise", "--no-hostname", "--utc"]
        if since is not None:
            options.append(f"--since=@{since.timestamp():.3f}")
        printed = await self._run("journalctl", f"--unit={self._unit}", "--quiet", *options)
        return [logs.clean(line) for line in printed.splitlines()[-tail:]]

    async def _act(self, verb: str) -> None:
        try:
            # Nobody is there who could be asked for a password.
            await self._systemctl(verb, "--no-ask-password", deadline=ACT_SECONDS)
        finally:
            # One that does not start is another one than before, too.
            self._read = 0.0
            await self.refresh()

    async def _systemctl(self, verb: str, *options: str, deadline: float) -> str:
        return await self._run(
            "systemctl", verb, "--no-pager", *options, "--", self._unit, deadline=deadline
        )

    async def _run(self, program: str, *arguments: str, deadline: float = SECONDS) -> str:
        if not await in_a_thread(partial(_runs_here, program), THREAD):
            raise Unavailable(ABSENT, CURE)
        try:
            return await run([program, *arguments], user=SystemUser.own(), deadline=deadline)
        except ProgramFailed as error:
            raise Unavailable(
                f"systemd refuses: {error.output.strip() or error}.",
                "May this server's user do that?" if os.geteuid() else "",
            ) from error
        except (TimeoutError, OSError) as error:
            raise Unavailable(f"systemd does not answer ({error}).", "Try again.") from error


def _runs_here(program: str) -> bool:
    return RUNNING.is_dir() and shutil.which(program) is not None


def parse(name: str, printed: str) -> State:
    """Return the state that `systemctl show` tells."""
    found = dict(line.partition("=")[::2] for line in printed.splitlines())
    if found.get("LoadState") == "not-found":
        missing = Problem(service=name, what=f"systemd knows no unit {name}.service.", cure=CURE)
        return State("not_installed", problem=missing, actions=())
    status = STATES.get(found.get("ActiveState", ""), "unavailable")
    pid = int(found.get("MainPID") or 0) or None
    memory = found.get("MemoryCurrent", "")
    problem: Problem | None = None
    result = found.get("Result") or found.get("SubState")
    again = found.get("SubState") == "auto-restart" and result != "success"
    if status == "failed" or again:
        problem = Problem(
            service=name,
            what=f"{name} has failed ({result}){', and is started again' if again else ''}.",
            cure=f"`pig logs {name}` may say why.",
        )
    return State(
        status,
        pid,
        problem=problem,
        # All bits set where systemd does not account for it.
        memory=int(memory) if memory.isdecimal() and int(memory) < 1 << 63 else None,
        actions=ALL_ACTIONS,
    )
