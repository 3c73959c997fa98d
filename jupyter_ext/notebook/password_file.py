"""The password file of this kernel, in the sense of libpq's ``PGPASSFILE``."""

from __future__ import annotations

import atexit
import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from ..client.libpq import password_line


class PasswordFile:
    """A file that its owner alone can read, and that goes with this process.

    Parameters
    ----------
    folder
        Where it lies.
    """

    def __init__(self, folder: Path) -> None:
        self._pid = os.getpid()
        self._stem = f"jupyter_ext-{socket.gethostname()}-"
        self.path = folder / f"{self._stem}{self._pid}.pgpass"
        self._lines: dict[tuple[Any, ...], str] = {}

    def add(self, connection: Mapping[str, Any]) -> None:
        """Let libpq find the password of one more role; those of before stay."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._sweep()
        key = tuple(connection[part] for part in ("host", "port", "user"))
        self._lines[key] = password_line(connection)
        new = self.path.with_suffix(".new")
        new.unlink(missing_ok=True)
        # Made by this call, for its owner alone: nobody has it open, and it leads nowhere else.
        handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.writelines(self._lines.values())
        new.replace(self.path)

    def remove(self) -> None:
        """Take it away; a child of this process, which ends before it, does not."""
        if os.getpid() == self._pid:
            self.path.unlink(missing_ok=True)

    def _sweep(self) -> None:
        """Take away files of this machine's kernels that were killed."""
        for file in self.path.parent.glob(f"{self._stem}*.pgpass"):
            pid = file.stem.removeprefix(self._stem)
            if pid.isdecimal() and not _alive(int(pid)):
                with suppress(OSError):
                    file.unlink()


@cache
def password_file() -> PasswordFile:
    """Return this process's own."""
    from jupyter_core.paths import jupyter_runtime_dir

    made = PasswordFile(Path(jupyter_runtime_dir()))
    atexit.register(made.remove)
    return made


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
