"""Where the server is, and what to say to it.

The first that is there wins:

1. arguments: `url`, with `api_key` or `token_file`;
2. ``JUPYTER_EXT_URL`` and ``JUPYTER_EXT_TOKEN_FILE``, which the server sets for its kernels and
   terminals;
3. ``server.json`` in the home (``JUPYTER_EXT_HOME``), which a running server writes.

A token file holds a short-lived key and is read again when that one is refused. It is only ever
sent to the server that it was written for.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from ..errors import Unavailable

START = "Start one with `jupyter lab` or `jupyter ext serve`"
ELSEWHERE = "for a server elsewhere set PIG_URL and PIG_API_KEY, or pass --url and --api-key"

LOOPBACK = {"localhost", "127.0.0.1", "::1"}


@dataclass(slots=True)
class Credential:
    """A key, given or read from a file; never shown.

    Parameters
    ----------
    key
        An API key or a JWT.
    file
        Where a short-lived one lies.
    """

    key: str | None = field(default=None, repr=False)
    file: Path | None = None

    def __post_init__(self) -> None:
        if self.key is None:
            self.reload()

    def reload(self) -> bool:
        """Read the file again; whether that gave another key than before."""
        if self.file is None:
            return False
        try:
            key = self.file.read_text().strip()
        except OSError:
            return False
        changed = bool(key) and key != self.key
        self.key = key or self.key
        return changed

    def headers(self) -> dict[str, str]:
        """Return what says who is calling."""
        return {"Authorization": f"Bearer {self.key}"} if self.key else {}


@dataclass(slots=True)
class Server:
    """A server and the credential for it.

    Parameters
    ----------
    url
        Its root with Jupyter's base URL, ending in ``/``.
    """

    url: str
    credential: Credential

    @property
    def is_local(self) -> bool:
        """Whether it runs on this machine, where no proxy stands between."""
        return urlsplit(self.url).hostname in LOOPBACK

    def address(self, path: str) -> str:
        """Return the URL of `path` (``/api/v1/…``)."""
        return self.url + path.lstrip("/")

    def socket_address(self, path: str) -> str:
        """Return the WebSocket URL of `path`."""
        return "ws" + self.address(path).removeprefix("http")


def default_home(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the folder with all state: ``JUPYTER_EXT_HOME``, or one in Jupyter's data."""
    named = environ.get("JUPYTER_EXT_HOME")
    if named:
        return Path(named).expanduser()
    from jupyter_core.paths import jupyter_data_dir

    return Path(jupyter_data_dir()) / "jupyter_ext"


def find_server(
    url: str | None = None,
    api_key: str | None = None,
    *,
    token_file: str | Path | None = None,
    home: str | Path | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Server:
    """Find the server to talk to, as the top of this module says.

    Raises
    ------
    Unavailable
        None is known; the message says how to get one.
    """
    given = Path(token_file) if token_file else None
    if url:
        root = _root(url)
        if api_key or given:
            return Server(root, Credential(api_key, given))
        local = _environment(environ) or _recorded(Path(home) if home else default_home(environ))
        if local is not None and local.url == root:
            return local
        return Server(root, Credential())
    folder = Path(home) if home else default_home(environ)
    server = None if home else _environment(environ)
    server = server or _recorded(folder)
    if server is None:
        raise Unavailable("No running server was found.", f"{START}; {ELSEWHERE}.")
    if api_key or given:
        server.credential = Credential(api_key, given)
    return server


def _root(url: str) -> str:
    """Return `url` as the server's root: documents write it with ``/api/v1``."""
    parts = urlsplit(url if "//" in url else f"http://{url}")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Unavailable(
            f"{url!r} is no address of a server.", "It reads like http://localhost:8888/."
        )
    path = parts.path.rstrip("/").removesuffix("/api/v1").rstrip("/")
    return f"{parts.scheme}://{parts.netloc}{path}/"


def _environment(environ: Mapping[str, str]) -> Server | None:
    url = environ.get("JUPYTER_EXT_URL")
    if not url:
        return None
    file = environ.get("JUPYTER_EXT_TOKEN_FILE")
    return Server(_root(url), Credential(file=Path(file) if file else None))


def _recorded(home: Path) -> Server | None:
    try:
        record = json.loads((home / "server.json").read_text())
        root = _root(record["url"])
        file, pid = record.get("token_file"), int(record.get("pid") or 0)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, Unavailable):
        return None
    if pid and not _alive(pid):
        # Its port may belong to another program by now, which must not get the key.
        return None
    return Server(root, Credential(file=Path(file) if file else None))


def _alive(pid: int) -> bool:
    if os.name == "nt":  # there, signal 0 ends the process
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
