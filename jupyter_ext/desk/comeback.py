"""How this server ends, and becomes the same server again in the same process.

The process runs its own command once more (``execve``): number, terminal, parent and open shells
stay, and so do the arguments and the environment. What the first run has chosen by itself, a port
and a token, is handed over in a pipe, which nobody else reads.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp

VARIABLE = "JUPYTER_EXT_COMEBACK"
"""Of the environment: the number of the pipe's end."""

PATIENCE = 60.0
"""Seconds that the old run has to end in order; then it is cut short."""

OURS = ("JUPYTER_EXT_URL", "JUPYTER_EXT_TOKEN_FILE")
"""Set for kernels by the run that ends."""

_log = logging.getLogger(__name__)


class Comeback:
    """The end of one server.

    Made early, so that at the process's end it comes after what others have to do there.
    """

    def __init__(self, server: ServerApp) -> None:
        self._server = server
        self._folder = Path.cwd()
        self._wanted = False
        self._going = threading.Lock()
        atexit.register(self._come_back)
        _take_up(server)

    @property
    def port(self) -> int | None:
        """Where the server listens; None at a Unix socket."""
        return None if self._server.sock else self._server.port

    @property
    def kernels(self) -> int:
        """How many run."""
        manager = getattr(self._server, "kernel_manager", None)
        return len(manager.list_kernel_ids()) if manager is not None else 0

    @property
    def hidden(self) -> Sequence[str]:
        """The token, which must not be read in the log."""
        return [token] if (token := _token(self._server)) else []

    def obstacle(self) -> str | None:
        """Say why it can't start itself again, and what does; None where it can."""
        if found := obstacle(os.environ, Path("/proc/self/cgroup"), os.getpid()):
            return found
        if not _launched():
            return "This server runs inside another program. Restart that."
        return None

    def end(self, *, come_back: bool) -> None:
        """End in order; with `come_back` the process then runs its command again."""
        if come_back and not self._wanted:
            self._wanted = True
            late = threading.Timer(PATIENCE, self._come_back)
            late.daemon = True
            late.start()
        self._server.stop()

    def _come_back(self) -> None:
        if not self._wanted or not self._going.acquire(blocking=False):
            return
        state = {
            "port": self.port,
            "token": _token(self._server),
            "generated": bool(_provider(self._server, "token_generated")),
        }
        reading, writing = os.pipe()
        os.write(writing, json.dumps(state).encode())
        os.close(writing)
        os.set_inheritable(reading, True)
        environment = {name: value for name, value in os.environ.items() if name not in OURS}
        with suppress(OSError):
            os.chdir(self._folder)
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        # What else is open closes by itself: Python's files are not inherited (PEP 446).
        command = [sys.executable, *sys.orig_argv[1:]]
        os.execve(sys.executable, command, {**environment, VARIABLE: str(reading)})  # noqa: S606


def obstacle(environ: Mapping[str, str], cgroup: Path, pid: int) -> str | None:
    """Say who else starts this process, and by which command; None where nobody does.

    Parameters
    ----------
    cgroup
        ``/proc/self/cgroup``: its last part is the unit of systemd (cgroups(7)).
    """
    if environ.get("JUPYTERHUB_USER") or environ.get("JUPYTERHUB_SERVER_NAME"):
        hub = environ.get("JUPYTERHUB_PUBLIC_HUB_URL") or environ.get("JUPYTERHUB_BASE_URL", "/")
        page = f"{hub.rstrip('/')}/{'' if '/hub' in hub else 'hub/'}home"
        return (
            "JupyterHub starts this server. Stop it and start it again in the Hub's control panel "
            f"({page}; File → Hub Control Panel)."
        )
    if service := environ.get("JUPYTERHUB_SERVICE_NAME"):
        return (
            f"JupyterHub starts this server as its service {service}. Restart that: "
            "`sudo systemctl restart jupyterhub`, or whatever starts the Hub."
        )
    unit, of_user = _unit(cgroup)
    started = environ.get("SYSTEMD_EXEC_PID") == str(pid) or "INVOCATION_ID" in environ
    if unit and started:
        command = "systemctl --user restart" if of_user else "sudo systemctl restart"
        return f"systemd starts this server. Restart its unit: `{command} {unit}`."
    return None


def _unit(cgroup: Path) -> tuple[str, bool]:
    """Return the unit of systemd to which this process belongs, and whether it is a user's."""
    try:
        lines = cgroup.read_text(encoding="utf-8").splitlines()
    except OSError:
        return "", False
    for line in lines:
        number, controllers, path = (line.split(":", 2) + ["", ""])[:3]
        if number == "0" or controllers == "name=systemd":
            last = path.rstrip("/").rpartition("/")[2]
            if last.endswith(".service") and not last.startswith("user@"):
                return last, "/user.slice/" in path
    return "", False


def _take_up(server: ServerApp) -> None:
    """Be where the run before was, and take the same token."""
    number = os.environ.pop(VARIABLE, None)
    if number is None:
        return
    try:
        with os.fdopen(int(number), "rb") as pipe:
            state: dict[str, Any] = json.loads(pipe.read())
    except (OSError, ValueError):
        _log.warning("What the run before has left can't be read; its port and token are lost.")
        return
    # A browser has the page open already.
    server.open_browser = False
    if state["port"] is not None:
        server.port = state["port"]
    provider: Any = getattr(server, "identity_provider", None)
    if state["generated"] and state["token"] and hasattr(provider, "token_generated"):
        provider.token = state["token"]
        provider.token_generated = True
        server.web_app.settings["token"] = state["token"]


def _launched() -> bool:
    """Whether the process is nothing but this server: a program that holds one goes on after it."""
    main = sys.modules.get("__main__")
    spec = getattr(main, "__spec__", None)
    name = spec.name if spec is not None else Path(getattr(main, "__file__", "") or "").name
    return bool(sys.orig_argv) and name.startswith(("jupyter", "pig"))


def _token(server: ServerApp) -> str:
    return str(_provider(server, "token") or "")


def _provider(server: ServerApp, name: str) -> object:
    return getattr(getattr(server, "identity_provider", None), name, None)
