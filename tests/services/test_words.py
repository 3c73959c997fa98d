"""What is read of logs and of systemd, word by word."""

from __future__ import annotations

import logging
import os
import re
import time
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from jupyter_ext.services import logs
from jupyter_ext.services.jupyter import Host, Journal, JupyterUnit
from jupyter_ext.services.settings import ServiceSettings
from jupyter_ext.services.systemd import parse

KEPT = [
    'FATAL:  password authentication failed for user "ann"',
    "Token authentication is enabled",
    "GET /lab/tree/tokenizer.ipynb 200",
    "2026-11-22 12:00:00.000 UTC [12] LOG:  database system is ready to accept connections",
]
HIDDEN = [
    "302 GET /lab?token=0123456789abcdef&x=1",
    "Authorization: token 0123456789abcdef",
    "authorization: Bearer 0123456789abcdef",
    "X-API-Key: 0123456789abcdef",
    '{"password": "0123456789abcdef", "user": "ann"}',
    "PGPASSWORD=0123456789abcdef psql",
    "ALTER ROLE ann PASSWORD '0123456789abcdef'",
    "postgresql://ann:0123456789abcdef@127.0.0.1:5432/mine",
    "my-own_secret-key: 0123456789abcdef",
    "The first administrator is 'admin', password 0123456789abcdef.",
    "key jx_0123456789abcdef was used",
    "\x1b[36mpassword\x1b[0m=\x1b[35m0123456789abcdef\x1b[0m",
    "ALTER ROLE ann PASSWORD 'it is 0123456789abcdef",
]


@pytest.mark.parametrize("line", KEPT)
def test_line_without_a_secret_stays_as_it_is(line: str) -> None:
    assert logs.clean(line) == line


@pytest.mark.parametrize("line", HIDDEN)
def test_secret_is_hidden(line: str) -> None:
    found = logs.clean(line)
    assert "0123456789abcdef" not in found
    assert logs.HIDDEN in found


HEAVY = ["-password", "a-", "a.", "a://x:", "password '", "bearer ", "eyJa."]


@pytest.mark.parametrize("part", HEAVY)
def test_a_line_that_somebody_made_for_it_keeps_nobody_waiting(part: str) -> None:
    # A statement that fails is in the log as it was sent.
    begun = time.monotonic()
    logs.clean(part * (20_000 // len(part)))
    assert time.monotonic() - begun < 2


SECRET = "0123456789abcdef"
ADDRESS = f"postgresql://ann:{SECRET}@127.0.0.1/mine"


@pytest.mark.parametrize("shown", range(len(ADDRESS)))
async def test_a_cut_through_an_address_shows_no_password(tmp_path: Path, shown: int) -> None:
    token = "feedc0de" * 5
    host = SimpleNamespace(hidden=[token])
    journal = Journal()
    unit = JupyterUnit(cast("Host", host), journal, 0, lambda *_: None)
    for what in (ADDRESS, token):
        text = "x" * (logs.LINE - shown - 1) + " " + what
        # The first line has a moment in front of it, and the second has none.
        journal.emit(logging.makeLogRecord({"msg": f"begin\n{text}"}))
    assert len(journal.lines[1]) == logs.LINE
    journal_says = list(await unit.logs(10, None))

    path = tmp_path / "log"
    for what in (ADDRESS, token):
        path.write_text(f"begin\n{what[:shown]}")
        journal_says += logs.read(path, 10, None, [token])
    said = "\n".join(journal_says)
    assert re.search(r"ann:[^\[\n ]", said) is None
    assert token[:4] not in said


def test_a_port_at_the_end_of_a_whole_line_is_none(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("It listens at http://127.0.0.1:8888\n")
    assert logs.read(path, 1, None) == ["It listens at http://127.0.0.1:8888"]


def test_a_line_of_a_year_that_is_none_here_has_no_time() -> None:
    lines = ["\t9999-12-31 23:59:59-14:00 x", "0001-01-01 00:00:00+14:00 x"]
    assert [logs.moment_of(line) for line in lines] == [None, None]


def test_what_lies_in_a_logs_place_and_is_none_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("of somebody else\n")
    (tmp_path / "link").symlink_to(tmp_path / "secret")
    os.mkfifo(tmp_path / "pipe")
    assert logs.read(tmp_path / "link", 2, None) == []
    assert logs.read(tmp_path / "pipe", 2, None) == []


def test_terminals_of_readers_are_left_alone() -> None:
    assert logs.clean("\x1b[31mred\x1b[0m\x07\x1b]0;title") == "red]0;title"


def test_lines_of_a_moment_and_later() -> None:
    lines = [
        "without a time",
        "2026-11-22 11:59:59.999 UTC [1] LOG:  before",
        "2026-11-22 12:00:00.000 UTC [1] ERROR:  at it",
        "    a line of its own",
        "[2026-11-22T13:00:00.5+01:00] the same moment elsewhere",
    ]
    assert logs.since(lines, datetime(2026, 11, 22, 12, tzinfo=UTC)) == lines[2:]
    assert logs.since(lines, None) == lines


def test_end_of_a_long_log_is_read(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("".join(f"line {number} {'x' * 80}\n" for number in range(20_000)))
    found = logs.read(path, 2, None)
    assert [line.split()[1] for line in found] == ["19998", "19999"]
    assert logs.read(tmp_path / "none", 2, None) == []


SHOWN = """\
LoadState=loaded
ActiveState=active
SubState=running
Result=success
MainPID=812
MemoryCurrent=4096000
"""


def test_unit_of_systemd() -> None:
    found = parse("cron", SHOWN)
    assert (found.status, found.pid, found.memory) == ("running", 812, 4096000)
    stopped = SHOWN.replace("active", "inactive").replace("812", "0")
    assert (parse("cron", stopped).status, parse("cron", stopped).pid) == ("stopped", None)
    # All bits set: nobody counts.
    assert parse("cron", SHOWN.replace("4096000", str((1 << 64) - 1))).memory is None
    failed = parse("cron", SHOWN.replace("=active", "=failed").replace("success", "exit-code"))
    assert failed.problem is not None
    assert "exit-code" in failed.problem.what
    assert parse("x", "LoadState=not-found\nActiveState=inactive\n").status == "not_installed"


@pytest.mark.parametrize("name", ["--version", "a b", "../x", "sshd.socket", ""])
def test_what_is_no_unit_is_refused(name: str) -> None:
    from traitlets import TraitError

    with pytest.raises(TraitError, match="systemd_units"):
        ServiceSettings(systemd_units=[name])
