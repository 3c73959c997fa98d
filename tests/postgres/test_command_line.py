"""``pig db`` against a real cluster, and psql."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import psycopg
import pytest

from ..engines.scratch import wait_until
from .conftest import Desk

pytestmark = pytest.mark.postgres

PIG = (sys.executable, "-m", "jupyter_ext.cli")
HERE = "SELECT current_database()"


def pig(desk: Desk, *words: str) -> subprocess.CompletedProcess[str]:
    return desk.server.run(*PIG, *words)


def password(desk: Desk, name: str) -> str:
    found = desk.admin.get(f"databases/{name}/connection").raise_for_status()
    return str(found.json()["password"])


@pytest.mark.parametrize(
    "name",
    ['it"s', "it's", "a b", "$(touch x)", "; rm -rf x", "größe🐘", "a/b", "...", "host=evil", "-x"],
)
def test_a_name_is_a_name(desk: Desk, name: str) -> None:
    before = sorted(desk.server.folder.iterdir())
    made = pig(desk, "db", "create", "--json", "--", name)
    assert made.returncode == 0, made.stderr
    with psycopg.connect(json.loads(made.stdout)["connection_url"]) as connection:
        assert connection.info.dbname == name
    assert name in desk.server.pig("-q", "db", "list").splitlines()
    if not name.startswith("-"):
        assert desk.server.pig("db", "connect", name, "--", "-XAtc", HERE) == f"{name}\n"
    asked = pig(desk, "db", "drop", "--", name)
    assert (asked.returncode, asked.stdout) == (2, "")
    assert desk.server.pig("db", "drop", "--yes", "--", name) == f"Deleted {name}.\n"
    assert sorted(desk.server.folder.iterdir()) == before


def test_a_name_that_is_too_long(desk: Desk) -> None:
    ran = pig(desk, "db", "create", "n" * 64)
    assert ran.returncode == 2
    assert "name: has 64 bytes" in ran.stderr


def test_a_session_keeps_a_database_unless_it_is_forced(desk: Desk) -> None:
    address = desk.server.pig("db", "create", "busy").strip()
    with psycopg.connect(address, autocommit=True):
        ran = pig(desk, "db", "drop", "--yes", "busy")
        assert ran.returncode == 1
        assert "1 session is in busy" in ran.stderr
        assert desk.server.pig("db", "drop", "--yes", "--force", "busy") == "Deleted busy.\n"


def test_a_clone_and_the_only_database(desk: Desk) -> None:
    with desk.user("lone"):
        environ = {**desk.server.environ, "PIG_API_KEY": desk.server.user_key("lone")}

    def run(*words: str) -> str:
        return subprocess.run(
            [*PIG, *words], env=environ, capture_output=True, text=True, check=True, timeout=60
        ).stdout

    address = run("db", "create", "source").strip()
    with psycopg.connect(address) as connection:
        connection.execute("CREATE TABLE t AS SELECT 7 AS n")
    assert run("db", "connect", "--", "-XAtc", "SELECT n FROM t") == "7\n"
    secret = password(desk, "source")
    assert run("db", "clone", "source", "to") == "Cloned source as to.\n"
    told = json.loads(run("db", "clone", "source", "bare", "--schema-only", "--json"))
    assert "connection_url" not in told
    assert run("db", "connect", "to", "--", "-XAtc", "SELECT n FROM t") == "7\n"
    assert run("db", "connect", "bare", "--", "-XAtc", "SELECT count(*) FROM t") == "0\n"
    # An administrator connects as the owner's role.
    assert secret in address
    assert run("db", "drop", "-y", "source", "to", "bare") == "Deleted source, to, bare.\n"


def test_psql_ends_as_it_ends(desk: Desk) -> None:
    desk.server.pig("db", "create", "ends")
    words = ("db", "connect", "ends", "--", "-X", "-v", "ON_ERROR_STOP=1")
    ran = subprocess.run(
        [*PIG, *words],
        env=desk.server.environ,
        input="SELECT no;\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 3
    assert 'column "no" does not exist' in ran.stderr
    desk.server.pig("db", "drop", "-y", "ends")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_the_password_is_in_one_file_as_long_as_psql_runs(
    desk: Desk, tmp_path: Path, number: signal.Signals
) -> None:
    desk.server.pig("db", "create", "secret")
    secret = password(desk, "secret")
    # What is set already must lead nobody elsewhere.
    more = {"TMPDIR": str(tmp_path), "PGPASSWORD": "wrong", "PGHOSTADDR": "192.0.2.1"}
    process = subprocess.Popen(
        [*PIG, "db", "connect", "secret", "--", "-XAtc", "SELECT 'here', pg_sleep(60)"],
        env={**desk.server.environ, **more},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        wait_until(lambda: _sleeps(desk.admin, "secret"), "psql's connection")
        (file,) = tmp_path.iterdir()
        assert file.stat().st_mode & 0o777 == 0o600
        assert secret in file.read_text()
        (psql,) = _children(process.pid)
        told = (Path(f"/proc/{psql}/environ")).read_text()
        assert f"PGPASSFILE={file}" in told.split("\0")
        assert "PGDATABASE=secret" in told.split("\0")
        assert "PGHOSTADDR" not in told
        for folder in Path("/proc").glob("[0-9]*"):
            assert secret not in _read(folder / "cmdline")
        for pid in (process.pid, psql):
            assert secret not in _read(Path(f"/proc/{pid}/environ"))
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 128 + number
    assert secret not in (out + err).decode()
    assert list(tmp_path.iterdir()) == []
    wait_until(lambda: not Path(f"/proc/{psql}").exists(), "psql's end")
    desk.server.pig("db", "drop", "-y", "-f", "secret")


def test_ctrl_c_is_psqls(desk: Desk, tmp_path: Path) -> None:
    """It ends the statement, and psql goes on."""
    desk.server.pig("db", "create", "long")
    main, side = pty.openpty()
    process = subprocess.Popen(
        [*PIG, "db", "connect", "long", "--", "-XAtn", "-P", "pager=off"],
        env={**desk.server.environ, "TMPDIR": str(tmp_path), "TERM": "dumb"},
        stdin=side,
        stdout=side,
        stderr=side,
        start_new_session=True,
    )
    os.close(side)
    try:
        os.write(main, b"SELECT pg_sleep(60);\n")
        wait_until(lambda: _sleeps(desk.admin, "long"), "psql's statement")
        os.killpg(process.pid, signal.SIGINT)
        _until(main, "canceling statement")
        os.write(main, b"SELECT 'still ' || 'here';\n")
        _until(main, "still here")
        os.write(main, b"\\q\n")
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
        os.close(main)
    assert list(tmp_path.iterdir()) == []
    desk.server.pig("db", "drop", "-y", "long")


def _until(file: int, wanted: str) -> None:
    text = b""
    while wanted.encode() not in text:
        ready, _, _ = select.select([file], [], [], 20)
        assert ready, f"{wanted!r} did not come, only {text!r}"
        text += os.read(file, 65536)


def _sleeps(admin: httpx.Client, name: str) -> bool:
    found = admin.get(f"databases/{name}/connection").json()
    with psycopg.connect(found["url"]) as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' "
            "AND datname = current_database()"
        ).fetchone()
    return row is not None and row[0] > 0


def _children(pid: int) -> list[int]:
    """Return the processes that a process started."""
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _read(file: Path) -> str:
    try:
        return file.read_bytes().decode(errors="replace")
    except OSError:  # it has ended meanwhile
        return ""


def test_a_user_is_made_with_a_database(desk: Desk) -> None:
    desk.made(desk.admin, "for visitors")
    words = ("user", "create", "visitor", "--database", "for visitors", "--password-stdin")
    made = subprocess.run(
        [*PIG, *words],
        input="correct horse\n",
        env=desk.server.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    assert "for visitors" in desk.server.pig("user", "show", "visitor")
