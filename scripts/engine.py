"""`engine.py ensure|stop`: see that a Docker engine answers, or stop the one that `ensure` started.

An engine that the user chose (DOCKER_HOST, a context, a rootless one) is never touched.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from jupyter_ext.client.discovery import default_home
from jupyter_ext.containers.docker_address import SYSTEM_SOCKET, EngineAddress, find_address
from jupyter_ext.containers.docker_sockets import make_dialer

SCRIPTS = Path(__file__).resolve().parent
SYSTEM = EngineAddress(f"unix://{SYSTEM_SOCKET}")
HOME = default_home() / "docker"
PID_FILE = HOME / "dockerd.pid"
LOG = HOME / "dockerd.log"
START_SECONDS = 40.0
STOP_SECONDS = 40.0


def version(where: EngineAddress, timeout: float = 5) -> str:
    """Return the version of the engine at `where`.

    Raises
    ------
    OSError
        Nothing answers there; `PermissionError` where this user may not ask.
    """
    dialer = make_dialer(where)
    connection = http.client.HTTPConnection("docker", timeout=timeout)
    try:
        connection.sock = dialer.connect(timeout)
        connection.request("GET", "/version")
        return str(json.load(connection.getresponse())["Version"])
    except (http.client.HTTPException, ValueError, KeyError) as error:
        raise OSError(f"what answers is no Docker engine: {error}") from error
    finally:
        connection.close()
        dialer.close()


def as_root(*command: str) -> list[str]:
    """Return `command` as it has to be written to run as root."""
    if os.geteuid() == 0:
        return list(command)
    return ["sudo", *([] if sys.stdin.isatty() else ["-n"]), *command]


def ensure() -> int:
    """Install and start an engine where none answers; 0 when one does at the end."""
    where = find_address()
    try:
        version(where)
        return 0
    except PermissionError:
        return 1  # the doctor says what to do
    except OSError:
        pass
    if where != SYSTEM:
        return 1
    if shutil.which("dockerd", path=_path()) is None:
        if shutil.which("apt-get") is None or not _may_be_root():
            return 1
        subprocess.run([SCRIPTS / "packages.sh", "docker.io"], check=True)
    return start() if _may_be_root() else 1


def start() -> int:
    """Start the engine, as a service where an init runs, otherwise below JUPYTER_EXT_HOME."""
    process: subprocess.Popen[bytes] | None = None
    if Path("/run/systemd/system").exists():
        print("==> starting Docker (systemctl start docker)", file=sys.stderr)
        subprocess.run(as_root("systemctl", "start", "docker"), check=False)
    else:
        # A mode counts for the last folder alone, and the one above holds all state.
        HOME.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        HOME.mkdir(exist_ok=True, mode=0o700)
        # After a crash another program may have the number, and dockerd would refuse to start.
        if _our_engine() is None:
            PID_FILE.unlink(missing_ok=True)
        print(f"==> starting Docker; it goes on until `make stop`; log: {LOG}", file=sys.stderr)
        with LOG.open("ab") as log:
            process = subprocess.Popen(
                as_root("dockerd", f"--data-root={HOME / 'data'}", f"--pidfile={PID_FILE}"),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, "PATH": _path()},
            )
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and (process is None or process.poll() is None):
        try:
            version(SYSTEM)
            return 0
        except PermissionError:
            return 1
        except OSError:
            time.sleep(0.2)
    where = "`journalctl -u docker`" if process is None else LOG
    print(f"warning: Docker did not start; the end of {where} says why", file=sys.stderr)
    return 1


def stop() -> int:
    """Stop the engine that `start` started, and no other."""
    pid = _our_engine()
    if pid is None:
        print("No engine that `make run` started is running.", file=sys.stderr)
        return 0
    # The shell's own kill: a small system has no other.
    subprocess.run(as_root("sh", "-c", f"kill -TERM {pid}"), check=True)
    until = time.monotonic() + STOP_SECONDS
    while time.monotonic() < until:
        if _our_engine() is None:
            print("Docker is stopped.", file=sys.stderr)
            return 0
        time.sleep(0.2)
    print(f"Docker (process {pid}) is still stopping.", file=sys.stderr)
    return 1


def _our_engine() -> int | None:
    """The process of the engine that `start` started, where it still runs."""
    try:
        pid = int(PID_FILE.read_text())
        words = Path(f"/proc/{pid}/cmdline").read_text()
    except (OSError, ValueError):
        return None
    return pid if str(PID_FILE) in words else None


def _path() -> str:
    # Debian keeps dockerd where only root looks.
    return os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin"


def _may_be_root() -> bool:
    if os.geteuid() == 0:
        return True
    if shutil.which("sudo") is None:
        return False
    if sys.stdin.isatty():
        return True
    return subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False).returncode == 0


if __name__ == "__main__":
    sys.exit({"ensure": ensure, "stop": stop}[sys.argv[1]]())
