"""A cluster as the extension runs it: superuser `dba`, let in by who asks at the socket."""

from __future__ import annotations

import getpass
import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from jupyter_ext.postgres.place import SUPERUSER, Place
from jupyter_ext.postgres.processes import SystemUser
from jupyter_ext.postgres.programs import Programs, find_programs

from . import require, scratch

HBA = """
local all dba peer map=desk
local all all scram-sha-256
host all all 127.0.0.1/32 scram-sha-256
"""

SETTINGS = {
    "listen_addresses": "",
    # Tests kill servers, never the machine.
    "fsync": "off",
    # One that shows who forgets to say UTC.
    "timezone": "Asia/Shanghai",
    "log_timezone": "Asia/Shanghai",
}


@dataclass
class DeskCluster:
    """A cluster in a folder of its own."""

    folder: Path
    place: Place

    def make(self) -> None:
        """Make the files of an empty cluster."""
        user = self.place.user
        os.chown(self.folder, user.uid, user.gid)
        data = self.place.data
        flags = ["-U", SUPERUSER, "-A", "peer", "-E", "UTF8", "--data-checksums", "-N"]
        self.run("initdb", "-D", str(data), *flags)
        who = {user.name, getpass.getuser()}
        self.write("pg_hba.conf", HBA)
        self.write("pg_ident.conf", "".join(f"desk {name} {SUPERUSER}\n" for name in who))
        (self.folder / "run").mkdir(mode=0o700)
        os.chown(self.folder / "run", user.uid, user.gid)

    def write(self, name: str, text: str) -> None:
        """Write a file of the cluster's own."""
        (self.place.data / name).write_text(text)

    def start(self, settings: Mapping[str, str] | None = None) -> None:
        """Start it with the tests' settings and these."""
        known = SETTINGS | {
            "port": str(self.place.port),
            "unix_socket_directories": str(self.place.sockets),
            "hba_file": str(self.place.data / "pg_hba.conf"),
            "ident_file": str(self.place.data / "pg_ident.conf"),
            **(settings or {}),
        }
        quoted = {name: value.replace("'", "''") for name, value in known.items()}
        self.write("postgresql.conf", "".join(f"{n} = '{v}'\n" for n, v in quoted.items()))
        log = str(self.folder / "server.log")
        self.run("pg_ctl", "-D", str(self.place.data), "-w", "-s", "-l", log, "start")

    def stop(self, mode: str = "fast") -> None:
        """Stop it."""
        self.run("pg_ctl", "-D", str(self.place.data), "-w", "-s", "-m", mode, "stop")

    def run(self, program: str, *words: str) -> None:
        """Run one of PostgreSQL's programs as the cluster's user."""
        with (self.folder / "programs.log").open("ab") as output:
            subprocess.run(
                [self.place.programs[program], *words],
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=60,
                check=True,
                **self.place.user.switch(),
            )

    def sql(self, statement: str, database: str = "postgres", place: Place | None = None) -> Any:
        """Run a statement as the superuser; return its rows' first columns."""
        conninfo = (place or self.place).conninfo(database)
        with psycopg.connect(**conninfo, autocommit=True) as connection:  # type: ignore[arg-type]
            cursor = connection.execute(statement.encode())
            return [row[0] for row in cursor.fetchall()] if cursor.description else []


@contextmanager
def desk_cluster(programs: Programs | None = None) -> Iterator[DeskCluster]:
    """Make a cluster in a scratch folder, and stop it at the end; it is not started yet.

    Parameters
    ----------
    programs
        Of which PostgreSQL; the machine's own without.
    """
    try:
        user = SystemUser.named("postgres") if os.geteuid() == 0 else SystemUser.own()
    except KeyError:
        require.missing("postgres", "root needs a user postgres to run PostgreSQL as")
    if shutil.which("pgbackrest") is None:
        require.missing("postgres", "pgBackRest is not installed")
    with scratch.scratch_folder("desk", in_memory=True) as folder:
        place = Place(folder / "data", folder / "run", 5432, user, programs or find_programs())
        cluster = DeskCluster(folder, place)
        cluster.make()
        try:
            yield cluster
        finally:
            if (place.data / "postmaster.pid").exists():
                with suppress(subprocess.CalledProcessError):
                    cluster.stop("immediate")


def processes_of(folder: Path) -> list[int]:
    """Return the processes of pgBackRest that work with a folder."""
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            words = (entry / "cmdline").read_bytes().split(b"\0") if entry.name.isdigit() else []
            mine = any(word.startswith(f"--config={folder}/".encode()) for word in words)
            if mine and words[0].endswith(b"pgbackrest"):
                found.append(int(entry.name))
    return found


def owner_of(path: Path) -> str:
    """Return the name of the user to whom a file belongs."""
    return pwd.getpwuid(path.stat().st_uid).pw_name
