"""A PostgreSQL cluster of the tests' own: the store's other database."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from . import scratch

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "200",
    "shared_buffers": "64MB",
    # Tests kill servers, never the machine.
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "timezone": "Asia/Shanghai",
}
"""The time zone is one that shows who forgets to say UTC."""


class PostgresMissing(Exception):
    """No cluster can run here; the text says why."""


@dataclass
class PostgresServer:
    """A running cluster.

    Attributes
    ----------
    url
        Of its maintenance database.
    """

    folder: Path
    port: int
    programs: Path

    @property
    def url(self) -> str:
        return self.url_of("postgres")

    def url_of(self, database: str) -> str:
        """Return the address of a database."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    @contextmanager
    def database(self, template: str = "template1") -> Iterator[str]:
        """Make a database, return its address, and drop it, whoever is in it."""
        name = f"test_{uuid.uuid4().hex[:16]}"
        create = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy")
        self._execute(create.format(sql.Identifier(name), sql.Identifier(template)))
        try:
            yield self.url_of(name)
        finally:
            self._execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
            )

    def _execute(self, statement: sql.Composed) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement)

    def control(self, *arguments: str) -> None:
        """Run ``pg_ctl`` on it: ``control("restart", "-m", "immediate")``."""
        self.run("pg_ctl", "-D", str(self.folder / "data"), "-w", "-s", *arguments)

    def run(self, program: str, *arguments: str) -> None:
        """Run one of PostgreSQL's programs as its user."""
        log = self.folder / "programs.log"
        # A server that goes on holds no pipe that somebody waits for.
        with log.open("ab") as output:
            done = subprocess.run(
                [*as_postgres(), str(self.programs / program), *arguments],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=60,
                check=False,
            )
        if done.returncode != 0:
            text = log.read_text(errors="replace")
            raise PostgresMissing(f"{program} {' '.join(arguments)} failed: {text}")


@contextmanager
def cluster() -> Iterator[PostgresServer]:
    """Run a cluster in a scratch folder, on a free port of 127.0.0.1.

    Raises
    ------
    PostgresMissing
        PostgreSQL is not installed, or does not start.
    """
    programs = find_programs()
    # A database for each of hundreds of tests, each with two checkpoints.
    with scratch.scratch_folder("pg", in_memory=True) as folder:
        if os.geteuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(folder, user.pw_uid, user.pw_gid)
        (folder / "programs.log").touch()
        server = PostgresServer(folder, scratch.free_port(), programs)
        data = str(folder / "data")
        server.run("initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "-N")
        settings = {**SETTINGS, "port": str(server.port), "unix_socket_directories": str(folder)}
        with (folder / "data" / "postgresql.auto.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())
        server.control("-l", str(folder / "server.log"), "start")
        try:
            yield server
        finally:
            with suppress(PostgresMissing):
                server.control("stop", "-m", "immediate")


def find_programs() -> Path:
    """Return the folder of the newest installed PostgreSQL's programs."""
    versions = [path for path in Path("/usr/lib/postgresql").glob("*") if path.name.isdigit()]
    for version in sorted(versions, key=lambda path: int(path.name), reverse=True):
        if (version / "bin" / "initdb").exists():
            return version / "bin"
    if found := shutil.which("initdb"):
        return Path(found).parent
    raise PostgresMissing("no PostgreSQL server is installed")


def as_postgres() -> list[str]:
    """Return what goes before a command, since PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return []
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise PostgresMissing("root needs setpriv to run PostgreSQL as another user")
    try:
        pwd.getpwnam("postgres")
    except KeyError as error:
        raise PostgresMissing("root needs a user postgres to run PostgreSQL as") from error
    return [setpriv, "--reuid=postgres", "--regid=postgres", "--init-groups", "--"]
