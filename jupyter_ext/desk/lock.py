"""The file lock that makes one process the desk of a home, and how others find it."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

LOCK = "desk.lock"
ANNOUNCEMENT = "server.json"


@dataclass(frozen=True, slots=True)
class Announcement:
    """Where the desk is.

    Parameters
    ----------
    url
        With its base URL, ending with a slash.
    token_file
        Holds a short-lived key of the home's owner; readable by them alone.
    pid
        Of the desk's process.
    """

    url: str
    token_file: str
    pid: int


class DeskLock:
    """At most one process holds it for a home; the system frees it however that process ends.

    Parameters
    ----------
    home
        ``JUPYTER_EXT_HOME``.
    """

    def __init__(self, home: Path) -> None:
        self._home = home
        self._handle: int | None = None

    def acquire(self) -> bool:
        """Become the desk; False where another process is."""
        import fcntl

        if self._handle is not None:
            return True
        self._home.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(self._home / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return False
        self._handle = handle
        # What a predecessor that died left behind leads nowhere.
        with suppress(FileNotFoundError):
            (self._home / ANNOUNCEMENT).unlink()
        return True

    def release(self) -> None:
        """Stop being the desk."""
        if self._handle is not None:
            with suppress(FileNotFoundError):
                (self._home / ANNOUNCEMENT).unlink()
            os.close(self._handle)
            self._handle = None

    def announce(self, url: str, token_file: Path) -> None:
        """Tell others of this home where the desk is."""
        text = json.dumps(asdict(Announcement(url, str(token_file), os.getpid())))
        write_private(self._home / ANNOUNCEMENT, text)


def find_desk(home: Path) -> Announcement | None:
    """Return where the desk of `home` says it is; None where nothing says so, or it has ended.

    The port of a desk that ended may belong to another program by now, which must get no key.
    """
    try:
        found = json.loads((home / ANNOUNCEMENT).read_text(encoding="utf-8"))
        os.kill(int(found["pid"]), 0)
        return Announcement(str(found["url"]), str(found["token_file"]), int(found["pid"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_private(path: Path, text: str) -> None:
    """Replace a file by one that its owner alone can read; readers see the old text or the new."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.new")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    temporary.replace(path)
