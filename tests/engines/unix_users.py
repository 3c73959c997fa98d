"""Users of this machine that the tests make and take away again."""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from . import require

COMMENT = "jupyter_ext tests of process "


@dataclass(frozen=True)
class UnixUser:
    """Somebody with a home of their own.

    Attributes
    ----------
    name
        ``alice-1a2b``: other runs of the tests have theirs.
    """

    name: str
    uid: int
    gid: int
    home: Path


@contextlib.contextmanager
def unix_users(folder: Path, *names: str) -> Iterator[list[UnixUser]]:
    """Make users whose homes lie below `folder`; all that they started ends with them."""
    if os.geteuid() != 0 or shutil.which("useradd", path="/usr/sbin:/sbin") is None:
        require.missing("hub", "a hub whose users are the machine's needs root and useradd")
    _remove_stale()
    made: list[UnixUser] = []
    try:
        for name in names:
            made.append(_add(f"{name}-{secrets.token_hex(2)}", folder))
        yield made
    finally:
        for user in made:
            _remove(user.name, user.uid)


def _add(name: str, folder: Path) -> UnixUser:
    home = folder / name
    words = ["--create-home", "--home-dir", str(home), "--shell", "/bin/bash", "--user-group"]
    _run("useradd", *words, "--comment", f"{COMMENT}{os.getpid()}", name)
    home.chmod(0o700)
    entry = pwd.getpwnam(name)
    return UnixUser(name, entry.pw_uid, entry.pw_gid, home)


def _remove(name: str, uid: int) -> None:
    for _ in range(50):
        left = [
            int(entry.name)
            for entry in Path("/proc").iterdir()
            if entry.name.isdigit() and _owner(entry) == uid
        ]
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if not left:
            break
        time.sleep(0.1)
    _run("userdel", "--force", "--remove", name, check=False)


def _owner(process: Path) -> int | None:
    with contextlib.suppress(OSError):
        return process.stat().st_uid
    return None


def _remove_stale() -> None:
    """Remove the users of test runs that were killed."""
    for entry in pwd.getpwall():
        if entry.pw_gecos.startswith(COMMENT):
            pid = entry.pw_gecos.removeprefix(COMMENT)
            if not Path(f"/proc/{pid}").exists():
                _remove(entry.pw_name, entry.pw_uid)


def _run(*words: str, check: bool = True) -> None:
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    done = subprocess.run(
        words, env={"PATH": path}, capture_output=True, text=True, timeout=30, check=False
    )
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {done.stderr}")
