"""Snapshots by REST, against restic and a marker in the WAL by hand, over the same files."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import time
from pathlib import Path

import psycopg
from psycopg.conninfo import make_conninfo

from jupyter_ext.postgres.place import SUPERUSER
from tests.engines.clusters import cluster_folder
from tests.engines.scratch import scratch_folder

from .harness import Caller, fill_database, server
from .rows import Row, median, ratio_at_most

ROUNDS = 7
FILES = 2000
CHANGED = 50
FILE_BYTES = 50_000
SOURCE_ROWS = 400_000
"""About 300 MB."""

PAUSE = 0.02
"""Seconds between two looks at whether a segment is archived."""


def run() -> list[Row]:
    """Change some files and rows and take snapshots, in turns with the plain commands."""
    with (
        cluster_folder(in_memory=False) as folder,
        scratch_folder("files") as files,
        scratch_folder("plain") as place,
        server(
            None,
            probe=False,
            traits={"cluster_dir": str(folder)},
            server_app={"root_dir": str(files)},
        ) as jupyter,
        Caller.of(jupyter, timeout=600) as caller,
    ):
        url = caller.json("POST", "/api/v1/databases", {"name": "source"})["connection_url"]
        fill_database(url, SOURCE_ROWS)
        with psycopg.connect(url, autocommit=True) as connection:
            _write(files, FILES)
            plain = Plain(folder, files, place)
            # The first ones read all files, and take the backup that later moments need.
            _taken(caller)
            plain.take()
            ours: list[float] = []
            theirs: list[float] = []
            for number in range(ROUNDS):
                for mine in (True, False) if number % 2 else (False, True):
                    _write(files, CHANGED)
                    connection.execute("UPDATE t SET text = text WHERE i <= 1000")
                    (ours if mine else theirs).append(_taken(caller) if mine else plain.take())
    return [
        ratio_at_most(
            # restic runs twice: what was copied is listed, so that no other user's folder is in it.
            2,
            f"snapshot of {FILES} files and 300 MB of databases by REST, {CHANGED} changed, median",
            median(ours),
            "s",
            "restic backup and a marker that is archived, median",
            median(theirs),
        )
    ]


class Plain:
    """What somebody would do by hand: restic, a restore point, and the wait for its WAL."""

    def __init__(self, folder: Path, files: Path, place: Path) -> None:
        [record] = folder.glob("*/data/postmaster.pid")
        # Lines of postmaster.pid: PostgreSQL's source, `src/include/utils/pidfile.h`.
        lines = record.read_text().splitlines()
        self._conninfo = make_conninfo(
            host=lines[4], port=lines[3], user=SUPERUSER, dbname="postgres"
        )
        self._files = files
        password = place / "password"
        password.write_text(secrets.token_hex())
        program = shutil.which("restic") or "restic"
        self._restic = [program, f"--repo={place / 'repository'}", f"--password-file={password}"]
        self._run("init")

    def take(self) -> float:
        """Keep the moment; return its seconds."""
        began = time.perf_counter()
        self._run("backup", ".")
        with psycopg.connect(self._conninfo, autocommit=True) as connection:
            connection.execute("SELECT pg_create_restore_point('plain')")
            query = "SELECT pg_walfile_name(pg_switch_wal())"
            [segment] = connection.execute(query).fetchone() or ()
            waits = "SELECT count(*) FROM pg_ls_archive_statusdir() WHERE name = %s"
            while connection.execute(waits, [f"{segment}.ready"]).fetchone() != (0,):
                time.sleep(PAUSE)
        return time.perf_counter() - began

    def _run(self, *words: str) -> None:
        subprocess.run([*self._restic, "--quiet", *words], cwd=self._files, check=True)


def _write(folder: Path, count: int) -> None:
    for number in range(count):
        (folder / f"{number}.bin").write_bytes(os.urandom(FILE_BYTES))


def _taken(caller: Caller) -> float:
    """Take a snapshot, wait for it, and return its seconds."""
    body = {"name": f"s{time.time_ns()}", "parts": ["databases", "files"]}
    return caller.timed("POST", "/api/v1/snapshots", body)
