"""``%database`` in a real kernel, against a real cluster."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from ..engines.jupyter import ROOT
from ..engines.kernels import Kernel, errors, texts
from ..engines.scratch import wait_until
from .conftest import Desk

pytestmark = pytest.mark.postgres

CONNECT = """
import psycopg
with psycopg.connect() as connection:
    row = connection.execute("SELECT current_database(), current_user").fetchone()
print(*row, sep="|")
"""


@dataclass
class Notebook:
    """A user's kernel, and all that it has put out."""

    kernel: Kernel
    client: httpx.Client
    shown: list[dict[str, Any]]

    def run(self, code: str) -> list[dict[str, Any]]:
        messages = self.kernel.run(code)
        self.shown += messages
        return messages

    def text(self, code: str) -> str:
        """Run a cell, which must succeed, and return what it shows."""
        messages = self.run(code)
        assert errors(messages) == []
        shown = [m["content"]["data"] for m in messages if "data" in m["content"]]
        return texts(messages) + "\n".join(data["text/plain"] for data in shown)

    def error(self, code: str) -> str:
        (failed,) = errors(self.run(code))
        (line,) = failed["traceback"]
        return str(line)


@pytest.fixture(scope="module")
def notebook(desk: Desk) -> Iterator[Notebook]:
    client = desk.user("cell")
    key = client.headers["X-API-Key"]
    # What was set before must lead nobody elsewhere.
    more = {"PIG_API_KEY": key, "PGPASSWORD": "wrong", "PGHOSTADDR": "192.0.2.1"}
    kernel = Kernel({**desk.server.environ, **more})
    assert errors(kernel.run("%load_ext jupyter_ext")) == []
    yield Notebook(kernel, client, [])
    kernel.stop()
    client.close()


def test_databases_are_made_opened_and_dropped_without_a_password_to_be_seen(
    notebook: Notebook, desk: Desk
) -> None:
    assert "No databases yet" in notebook.text("%database")
    for name in ("mine", "a/b it's; $(touch x)"):
        quoted = f'"{name}"'
        assert f"Made {name}" in notebook.text(f"%database create {quoted}")
        assert name in notebook.text(f"%database use {quoted}")
        assert notebook.text(CONNECT) == f"{name}|cell\n"
    assert notebook.text("kept = %database use mine\nprint(kept['user'])").startswith("cell\n")
    notebook.text("%database clone mine copy")
    notebook.text("%database create --json shown")
    assert "add --yes" in notebook.error("%database drop mine")
    assert "%database list" in notebook.error("%database use nothing-there")
    assert "64 bytes" in notebook.error(f"%database create {'n' * 64}")
    assert notebook.text(CONNECT) == "mine|cell\n"

    secret = notebook.client.get("databases/mine/connection").json()["password"]
    told = notebook.text(
        "import os, json\n"
        "ip = get_ipython()\n"
        "print(json.dumps(dict(os.environ)))\n"
        "print(list(ip.history_manager.get_range(raw=True, output=True)))\n"
        "print({name: repr(value) for name, value in ip.user_ns.items()})\n"
        "print(open('/proc/self/environ').read())\n"
        "print(open('/proc/self/cmdline').read())"
    )
    assert "PGDATABASE" in told
    assert secret not in told
    assert secret not in json.dumps(notebook.shown, default=str)
    assert "PGPASSWORD" not in json.loads(told.splitlines()[0])

    file = Path(notebook.text("print(os.environ['PGPASSFILE'], end='')"))
    assert file.parent == Path(desk.server.environ["JUPYTER_RUNTIME_DIR"])
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.read_text().count(secret) == 1
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            assert secret not in (folder / "cmdline").read_text(errors="replace")
        except OSError:
            continue  # it has ended meanwhile
    for name in ("mine", "copy", "shown", "a/b it's; $(touch x)"):
        assert f"Deleted {name}." in notebook.text(f'%database drop --yes "{name}"')
    assert "No databases yet" in notebook.text("%database list")


def test_the_password_file_goes_with_its_kernel(notebook: Notebook, desk: Desk) -> None:
    notebook.text("%database create later")
    killed, killed_file = _using(desk, notebook, "later")
    killed.stop()
    # One that is killed leaves its file to the next that makes one.
    assert killed_file.exists()
    ended, ended_file = _using(desk, notebook, "later")
    assert not killed_file.exists()
    ended.client.shutdown()
    wait_until(lambda: not ended_file.exists(), "the end of the file")
    ended.stop()
    notebook.text("%database drop --yes later")


def test_jupysql_asks_the_open_database_and_shows_no_password(
    notebook: Notebook, desk: Desk
) -> None:
    found = subprocess.run(
        [ROOT / "scripts" / "jupysql.sh"], capture_output=True, text=True, timeout=300, check=True
    )
    environ = {
        **desk.server.environ,
        "PIG_API_KEY": notebook.client.headers["X-API-Key"],
        "PYTHONPATH": f"{found.stdout.strip()}:{ROOT}",
        # It would tell its makers.
        "PLOOMBER_STATS_ENABLED": "false",
    }
    for name in ("asked", "it's second"):
        notebook.text(f'%database create "{name}"')
    book = Notebook(Kernel(environ), notebook.client, [])
    try:
        book.text("%load_ext jupyter_ext")
        for name in ("asked", "it's second"):
            assert "%sql" in book.text(f'%database use "{name}"')
            assert f"| {name} " in book.text("%sql SELECT current_database() AS name, 1 AS one")
        connections = book.text("%sql --connections")
        assert "asked" in connections
        secret = notebook.client.get("databases/asked/connection").json()["password"]
        assert secret not in json.dumps(book.shown, default=str)
    finally:
        book.kernel.stop()
    for name in ("asked", "it's second"):
        notebook.text(f'%database drop --yes --force "{name}"')


def _using(desk: Desk, notebook: Notebook, name: str) -> tuple[Kernel, Path]:
    """Start a kernel that has a database open; returns it and its password file."""
    folder = Path(desk.server.environ["JUPYTER_RUNTIME_DIR"])
    before = set(folder.glob("jupyter_ext-*.pgpass"))
    key = notebook.client.headers["X-API-Key"]
    kernel = Kernel({**desk.server.environ, "PIG_API_KEY": key})
    assert errors(kernel.run(f"%load_ext jupyter_ext\n%database use {name}")) == []
    (file,) = set(folder.glob("jupyter_ext-*.pgpass")) - before
    return kernel, file


def test_what_it_does_not_have(notebook: Notebook) -> None:
    assert "No command 'connect'" in notebook.error("%database connect")
    assert "Error: Missing argument 'NAME'" in notebook.error("%database use")
