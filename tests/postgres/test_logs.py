"""Logs that are shortened while somebody appends to them."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from itertools import pairwise
from pathlib import Path

from jupyter_ext.postgres.owned_files import shorten

from ..engines.scratch import wait_until

APPEND = """
import os, sys, time
log = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND)
for number in range(1, 60_000):
    os.write(log, b"%08d\\n" % number)
    time.sleep(0.0005)
"""
LINE = 9
KEPT = 8 << 20
TIMES = 20


def newest(log: Path) -> int:
    with log.open("rb") as file:
        file.seek(-2 * LINE, 2)
        return int(file.read().splitlines()[-2])


def is_behind(log: Path, number: int) -> bool:
    return newest(log) > number


def test_what_is_appended_meanwhile_comes_along(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"%08d\n" % 0 * (KEPT // LINE + 1000))
    with subprocess.Popen([sys.executable, "-c", APPEND, str(log)]) as appender:
        try:
            for _ in range(TIMES):
                wait_until(partial(is_behind, log, newest(log) + 20), "lines", 30, 0.01)
                shorten(log, KEPT, KEPT)
                assert log.stat().st_size < KEPT + (1 << 20)
        finally:
            appender.kill()

    numbers = [number for line in log.read_bytes().splitlines() if (number := int(line))]
    lost = sum(later != one + 1 for one, later in pairwise(numbers))
    # Of the very last moment something may be, but not each time, as where all is written anew.
    assert len(numbers) > TIMES * 20
    assert lost <= TIMES // 2
