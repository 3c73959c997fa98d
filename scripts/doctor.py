"""What this machine has of what the extension can use, and for what it has not, the cure."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import engine

from jupyter_ext.containers.docker_address import find_address
from jupyter_ext.containers.docker_errors import unavailable
from jupyter_ext.errors import PlatformError

FOUND, MISSING = "found  ", "missing"


def docker() -> tuple[bool, str]:
    """Return whether an engine answers, and which or what to do."""
    try:
        where = find_address()
        return True, f"{engine.version(where)} at {where.url}"
    except PlatformError as error:
        return False, str(error)
    except OSError as error:
        return False, str(unavailable(where, str(error)))


def gpu() -> tuple[bool, str]:
    """Return whether NVIDIA's driver runs, and with what."""
    if Path("/dev/nvidiactl").exists() and (program := shutil.which("nvidia-smi")):
        listed = subprocess.run([program, "-L"], capture_output=True, text=True, check=False)
        names = re.findall(r"GPU \d+: (.*?) \(", listed.stdout)
        if names:
            return True, ", ".join(names)
    return False, "none found; GPUs need NVIDIA's driver and nvidia-container-toolkit"


def libvirt() -> tuple[bool, str]:
    """Return whether libvirt's daemon is installed."""
    if program := shutil.which("libvirtd", path=os.environ.get("PATH", "") + ":/usr/sbin"):
        return True, program
    return False, "not installed; machines need it: `sudo apt-get install libvirt-daemon-system`"


def postgresql() -> tuple[bool, str]:
    """Return whether PostgreSQL's server programs are installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    program = str(found[-1]) if found else shutil.which("postgres")
    if program:
        return True, program
    return False, "not installed; databases need it: `sudo apt-get install postgresql`"


def pgbackrest() -> tuple[bool, str]:
    """Return whether pgBackRest is installed."""
    if program := shutil.which("pgbackrest"):
        return True, program
    return False, "not installed; backups need it: `sudo apt-get install pgbackrest`"


def restic() -> tuple[bool, str]:
    """Return whether restic is installed."""
    if program := shutil.which("restic"):
        return True, program
    return False, "not installed; files in snapshots need it: `sudo apt-get install restic`"


def main() -> None:
    """Print a line for each."""
    checks = {
        "Docker": docker,
        "GPU": gpu,
        "libvirt": libvirt,
        "PostgreSQL": postgresql,
        "pgBackRest": pgbackrest,
        "restic": restic,
    }
    for name, check in checks.items():
        found, words = check()
        print(f"  {FOUND if found else MISSING}  {name:<12}{words}", file=sys.stderr)


if __name__ == "__main__":
    main()
