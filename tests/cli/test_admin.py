"""``pig admin``: the server's own store and key, in a home of the test's own."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import select

from jupyter_ext.desk.lock import DeskLock
from jupyter_ext.store import Store, archive
from jupyter_ext.store.base import Fact

from ..engines.jupyter import ROOT
from ..engines.postgres import PostgresServer
from ..engines.scratch import wait_until
from ..engines.stores import KEY
from .conftest import Pig


def note(store: Store, value: str = "") -> str:
    """Write a secret into a store as a server does, or read it; returns it."""

    async def work() -> str:
        await store.open()
        try:
            async with store.write() as session:
                if value:
                    hidden = store.secrets.encrypt(value)
                    await session.merge(Fact(name="secret", value=hidden))
                    return value
                found = await session.scalar(select(Fact.value).where(Fact.name == "secret"))
                return store.secrets.decrypt(found) if found else ""
        finally:
            await store.close()

    return asyncio.run(work())


def of(home: Path) -> Store:
    return Store(f"sqlite:///{home}/store.db")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "server"
    monkeypatch.setenv("PIG_HOME", str(folder))
    note(of(folder), "first")
    return folder


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "kept.tar.gz"


def test_what_is_backed_up_comes_back(pig: Pig, home: Path, file: Path) -> None:
    ran = pig("admin", "backup", str(file))
    assert (ran.code, ran.out.startswith("Kept the store (schema ")) == (0, True)
    assert "opens every secret" in ran.err
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    note(of(home), "second")
    key = (home / "store.key").read_text()
    done = pig("admin", "restore", str(file), "--yes", "--json")
    assert done.code == 0, done.err
    assert note(of(home)) == "first"
    with closing(sqlite3.connect(home / "store.db")) as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    kept = Path(json.loads(done.out)["kept"])
    assert (kept / "store.key").read_text() == key
    assert stat.S_IMODE(kept.stat().st_mode) == 0o700
    shutil.copy(kept / "store.db", home / "store.db")
    assert note(of(home)) == "second"
    assert not list(home.glob(".*"))
    assert [each.name for each in file.parent.glob(".*")] == []


def test_a_backup_comes_back_where_nothing_is(
    pig: Pig, home: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert pig("admin", "backup", str(file)).code == 0
    shutil.rmtree(home)
    assert pig("admin", "restore", str(file), "--yes").code == 0
    assert note(of(home)) == "first"
    assert stat.S_IMODE((home / "store.key").stat().st_mode) == 0o600
    assert not list(home.glob("before-*"))
    other = home.with_name("other")
    assert pig("admin", "restore", str(file), "--yes", "--home", str(other)).code == 0
    assert note(of(other)) == "first"


def test_a_backup_is_of_one_moment_while_others_write(pig: Pig, home: Path, file: Path) -> None:
    writing = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], timeout=30)
n = 0
print("writing", flush=True)
while True:
    n += 1
    with database:
        for name in ("one", "two"):
            row = (name, str(n) + "x" * 5000)
            database.execute("INSERT OR REPLACE INTO store_facts (name, value) VALUES (?, ?)", row)
"""
    words = [sys.executable, "-c", writing, str(home / "store.db")]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            ran = [pig("admin", "backup", str(file), "--force") for _ in range(5)]
        finally:
            process.kill()
    assert [each.code for each in ran] == [0] * 5
    assert pig("admin", "restore", str(file), "--yes").code == 0
    with closing(sqlite3.connect(home / "store.db")) as database:
        query = "SELECT count(DISTINCT value) FROM store_facts WHERE name IN ('one', 'two')"
        assert database.execute(query).fetchone() == (1,)


def test_nothing_is_overwritten_or_replaced_unasked(pig: Pig, home: Path, file: Path) -> None:
    file.write_text("mine")
    ran = pig("admin", "backup", str(file))
    assert (ran.code, "--force" in ran.err, file.read_text()) == (1, True, "mine")
    assert pig("admin", "backup", str(file), "--force").code == 0
    note(of(home), "second")
    asked = pig("admin", "restore", str(file))
    assert (asked.code, "--yes" in asked.err) == (2, True)
    assert note(of(home)) == "second"
    assert not list(home.glob("before-*"))


def test_beside_a_server_only_a_backup_is_taken(pig: Pig, home: Path, file: Path) -> None:
    lock = DeskLock(home)
    assert lock.acquire()
    try:
        lock.announce("http://127.0.0.1:8888/", home / "token")
        assert pig("admin", "backup", str(file)).code == 0
        for words in (["restore", str(file), "--yes"], ["rotate-key"]):
            ran = pig("admin", *words)
            assert ran.code == 1
            assert f"http://127.0.0.1:8888/ (process {os.getpid()}) runs" in ran.err
        assert (home / "server.json").exists()
    finally:
        lock.release()


def damaged(file: Path, folder: Path, name: str, change: bytes) -> None:
    """Change a file of a backup, whose manifest then says that it is as it should be."""
    with tarfile.open(file) as tar:
        tar.extractall(folder, filter="data")
    (folder / name).write_bytes(change)
    manifest = json.loads((folder / archive.MANIFEST).read_text())
    for each in manifest["sha256"]:
        manifest["sha256"][each] = archive.digest(folder / each)
    (folder / archive.MANIFEST).write_text(json.dumps(manifest))
    with tarfile.open(file, "w:gz") as tar:
        for each in folder.iterdir():
            tar.add(each, each.name)


def test_what_does_not_hold_together_is_refused_before_anything_is_touched(
    pig: Pig, home: Path, file: Path, tmp_path: Path
) -> None:
    assert pig("admin", "backup", str(file)).code == 0
    good = file.read_bytes()
    note(of(home), "second")
    before = {each.name: each.read_bytes() for each in home.iterdir() if each.is_file()}

    def refused(why: str) -> None:
        ran = pig("admin", "restore", str(file), "--yes")
        assert (ran.code, why in ran.err) == (1, True), ran.err
        after = {each.name: each.read_bytes() for each in home.iterdir() if each.is_file()}
        assert {**before, "desk.lock": b""} == after
        assert not [each for each in home.iterdir() if each.is_dir()]

    file.write_bytes(good[: len(good) // 2])
    refused("is damaged")
    file.write_bytes(b"no archive")
    refused("is no backup of a store")
    cases = {
        "store.key": (KEY.encode(), "does not open the store"),
        "store.db": (b"SQLite format 3\0" + b"x" * 9000, "is damaged"),
    }
    for name, (change, why) in cases.items():
        file.write_bytes(good)
        folder = tmp_path / name
        folder.mkdir()
        damaged(file, folder, name, change)
        refused(why)
    with tarfile.open(file, "w:gz") as tar:
        (tmp_path / archive.MANIFEST).symlink_to("/etc/hostname")
        tar.add(tmp_path / archive.MANIFEST, archive.MANIFEST)
    refused("is no backup of a store")


KILLED = """
import os, signal, sys
from pathlib import Path
from jupyter_ext.store import Store, backups
step, home, file = int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
calls = []
def counted(work):
    def call(*arguments):
        work(*arguments)
        calls.append(work)
        if len(calls) == step: os.kill(os.getpid(), signal.SIGKILL)
    return call
for name in ("_set_aside", "write_keys", "_switch"):
    setattr(backups, name, counted(getattr(backups, name)))
store = Store(f"sqlite:///{home}/store.db")
with backups.opened(file, home) as archive:
    backups.check_target(store, archive)
    backups.restore(store, archive, home)
"""


@pytest.mark.parametrize(("step", "there"), [(1, "other"), (2, "other"), (3, "first")])
def test_killed_while_it_restores_a_store_and_its_key_are_there(
    pig: Pig, home: Path, file: Path, step: int, there: str
) -> None:
    assert pig("admin", "backup", str(file)).code == 0
    other = home.with_name("other")
    note(of(other), "other")
    words = [sys.executable, "-c", KILLED, str(step), str(other), str(file)]
    ended = subprocess.run(words, env={"PYTHONPATH": str(ROOT)}, check=False, timeout=60)
    assert ended.returncode == -signal.SIGKILL
    assert note(of(other)) == there


def test_a_damaged_store_is_replaced_and_kept(pig: Pig, home: Path, file: Path) -> None:
    assert pig("admin", "backup", str(file)).code == 0
    (home / "store.db").write_bytes(b"ruin" * 4096)
    done = pig("admin", "restore", str(file), "--yes", "--json")
    assert done.code == 0, done.err
    assert note(of(home)) == "first"
    kept = Path(json.loads(done.out)["kept"])
    assert (kept / "store.db").read_bytes() == b"ruin" * 4096


def test_the_key_is_renewed(pig: Pig, home: Path) -> None:
    old = (home / "store.key").read_text()
    done = pig("admin", "rotate-key")
    assert (done.code, done.out) == (0, "Encrypted 1 secrets anew. The old key is gone.\n")
    assert old not in (home / "store.key").read_text()
    assert note(of(home)) == "first"


def test_no_store_is_made_by_looking_for_it(pig: Pig, tmp_path: Path, file: Path) -> None:
    for words in (["backup", str(file)], ["rotate-key"]):
        ran = pig("admin", *words, "--home", str(tmp_path / "none"))
        assert (ran.code, "There is no store at" in ran.err) == (1, True)
    assert not (tmp_path / "none").exists()
    assert not file.exists()


def test_the_file_of_settings_says_where_the_store_is(
    pig: Pig, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    note(of(elsewhere), "there")
    assert pig("config", "set", "system.store_url", f"sqlite:///{elsewhere}/store.db").code == 0
    assert pig("admin", "backup", str(file)).code == 0
    monkeypatch.setenv("PIG_HOME", str(tmp_path / "third"))
    assert pig("admin", "restore", str(file), "--yes").code == 0
    assert note(of(tmp_path / "third")) == "there"


@pytest.mark.postgres
def test_a_store_on_postgresql(
    pig: Pig, postgres_server: PostgresServer, tmp_path: Path, file: Path
) -> None:
    key = tmp_path / "the.key"
    key.write_text(KEY)
    words = ["--home", str(tmp_path / "home"), "--store-key-file", str(key)]
    (tmp_path / "home").mkdir(mode=0o700)
    with postgres_server.database() as url, postgres_server.database() as other:
        note(Store(url, key_file=key), "first")
        assert pig("admin", "backup", str(file), "--store-url", url, *words).code == 0
        note(Store(url, key_file=key), "second")
        assert pig("admin", "rotate-key", "--store-url", url, *words).code == 0
        assert KEY not in key.read_text()
        same = pig("admin", "restore", str(file), "--yes", "--json", "--store-url", url, *words)
        assert same.code == 0, same.err
        assert note(Store(url, key_file=key)) == "first"
        assert {each.name for each in Path(json.loads(same.out)["kept"]).iterdir()} == {
            "store.dump",
            "store.key",
        }
        empty = ["--home", str(tmp_path / "new"), "--store-key-file", str(tmp_path / "new.key")]
        done = pig("admin", "restore", str(file), "--yes", "--store-url", other, *empty)
        assert done.code == 0, done.err
        assert note(Store(other, key=KEY)) == "first"
    with postgres_server.database() as another:
        note(Store(another, key=KEY), "mine")
        ran = pig("admin", "restore", str(file), "--yes", "--store-url", another, *words)
        assert (ran.code, "holds something else" in ran.err) == (1, True)
        assert note(Store(another, key=KEY)) == "mine"
    home = tmp_path / "lite"
    ran = pig("admin", "restore", str(file), "--yes", "--home", str(home))
    assert (ran.code, "is of a store on postgresql" in ran.err) == (1, True)


def test_somebody_elses_home_is_left_to_them(
    pig: Pig, home: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    for words in (["backup", str(file)], ["rotate-key"]):
        ran = pig("admin", *words)
        assert (ran.code, f"sudo -u '#{owner}'" in ran.err) == (4, True)
    assert not file.exists()


def test_without_the_library_it_says_what_to_install(
    pig: Pig, tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = tmp_path / "the.key"
    key.write_text(KEY)
    words = ["--store-url", "postgresql://x@127.0.0.1:1/x", "--store-key-file", str(key)]
    words += ["--home", str(tmp_path)]
    monkeypatch.setitem(sys.modules, "psycopg", None)
    for verb in (["backup", str(file)], ["rotate-key"]):
        ran = pig("admin", *verb, *words)
        assert (ran.code, "pip install 'jupyter-ext[postgres]'" in ran.err) == (1, True), ran.err


HELD = """
import sys
from pathlib import Path
from jupyter_ext.cli.program import run
print("begun", flush=True)
sys.exit(run(sys.argv[1:]))
"""


@contextmanager
def held(url: str) -> Iterator[psycopg.Connection[Any]]:
    """Keep a table from everybody, so that whoever copies the store stops there."""
    with psycopg.connect(url) as connection:
        connection.execute("LOCK TABLE audit IN ACCESS EXCLUSIVE MODE")
        yield connection
        connection.rollback()


def killed_at(url: str, *words: str) -> None:
    """Kill the program while one of PostgreSQL's own waits in the store."""
    running = subprocess.Popen([sys.executable, "-c", HELD, "admin", *words], cwd=ROOT)
    waits = (
        "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        " AND datname = current_database() AND application_name LIKE 'pg\\_%'"
    )
    with psycopg.connect(url, autocommit=True) as looking:
        wait_until(lambda: looking.execute(waits).fetchall(), "a program that waits", 30, 0.05)
        running.kill()
        running.wait(10)


@pytest.mark.postgres
def test_killed_while_postgresqls_programs_work_nothing_goes_on_and_nothing_is_left(
    pig: Pig, postgres_server: PostgresServer, tmp_path: Path, file: Path
) -> None:
    key, home = tmp_path / "the.key", tmp_path / "home"
    key.write_text(KEY)
    home.mkdir(mode=0o700)
    with postgres_server.database() as url:
        words = ["--store-url", url, "--home", str(home), "--store-key-file", str(key)]
        note(Store(url, key_file=key), "first")
        with held(url):
            killed_at(url, "backup", str(file), *words)
        assert len(left := list(tmp_path.glob(".jupyter_ext-backup-*"))) == 1
        os.utime(left[0], (0, 0))
        assert pig("admin", "backup", str(file), *words).code == 0
        assert not list(tmp_path.glob(".*"))
        note(Store(url, key_file=key), "second")
        # Only what is dropped waits for it: what is kept before was dumped.
        with psycopg.connect(url) as reader:
            reader.execute("SELECT FROM audit")
            killed_at(url, "restore", str(file), "--yes", *words)
        programs = "SELECT FROM pg_stat_activity WHERE application_name LIKE 'pg\\_%'"
        with psycopg.connect(url, autocommit=True) as looking:
            wait_until(lambda: not looking.execute(programs).fetchall(), "its end", 10, 0.05)
        assert note(Store(url, key_file=key)) == "second"
        for each in home.glob(".jupyter_ext-*"):
            os.utime(each, (0, 0))
        assert pig("admin", "restore", str(file), "--yes", *words).code == 0
        assert note(Store(url, key_file=key)) == "first"
        assert not list(home.glob(".*"))
        assert len(list(home.glob("before-restore-*"))) == 2
        assert key.read_text().split() == [KEY]
