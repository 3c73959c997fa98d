"""What it takes to hand out GPUs: 1,000 requests for 64 of them, all at once."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from jupyter_ext.containers.records import ContainerRecord
from jupyter_ext.devices.inventory import Found
from jupyter_ext.devices.ledger import DeviceLedger
from jupyter_ext.store import Store, utcnow
from tests.engines.postgres import cluster
from tests.engines.stores import KEY

from .rows import Row, at_most, percentile, ratio_at_most, told

REQUESTS = 1000
GPUS = 64
SERVERS = 4


def run() -> list[Row]:
    """Measure four servers on PostgreSQL, and one on SQLite."""
    rows: list[Row] = []
    with ExitStack() as stack:
        server = stack.enter_context(cluster())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for name, url, servers in (
            ("PostgreSQL", stack.enter_context(server.database()), SERVERS),
            ("SQLite", f"sqlite:///{folder}/store.db", 1),
        ):
            each = _claim(url, "each", [asyncio.run(_containers(url))])
            cids = asyncio.run(_containers(url))
            parts = [cids[number::servers] for number in range(servers)]
            together = _claim(url, "all", parts)
            rounds = [1000 * seconds for one in together for seconds in one["rounds"]]
            what = f"{servers} servers on {name}" if servers > 1 else f"1 server on {name}"
            rows += [
                at_most(
                    10,
                    f"a claim's transaction, {what}, p99",
                    percentile(rounds, 99),
                    "ms",
                    "one after the other, p99",
                    percentile([1000 * seconds for seconds in each[0]["rounds"]], 99),
                ),
                told(
                    f"a claim's transaction, {what}, median",
                    percentile(rounds, 50),
                    "ms",
                    "one after the other, median",
                    percentile([1000 * seconds for seconds in each[0]["rounds"]], 50),
                ),
                ratio_at_most(
                    3,
                    f"{REQUESTS} requests for {GPUS} GPUs, all at once, {what}",
                    max(one["seconds"] for one in together),
                    "s",
                    "one after the other, 1 server",
                    each[0]["seconds"],
                ),
            ]
    return rows


async def _containers(url: str) -> list[int]:
    """Have the GPUs, and as many containers as there are requests."""
    store = Store(url, key=KEY)
    await store.open()
    ledger = DeviceLedger(store)
    names = [f"{utcnow().timestamp()}-{number}" for number in range(REQUESTS)]
    records = [
        ContainerRecord(owner="user-1", name=name, image="x", created_at=utcnow()) for name in names
    ]
    async with store.write() as session:
        cards = [Found(f"GPU-{number}", "A100", 80 << 30) for number in range(GPUS)]
        await ledger.set_gpus(session, 1, cards)
        session.add_all(records)
    await store.close()
    return [record.cid for record in records]


def _claim(url: str, how: str, parts: list[list[int]]) -> list[dict[str, Any]]:
    """Let a process claim for each part, and return what they say."""
    command = [sys.executable, "-m", "benchmarks.claimer", url, KEY, how]
    programs = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in parts
    ]
    for program, part in zip(programs, parts, strict=True):
        assert program.stdin is not None
        program.stdin.write("".join(f"{cid}\n" for cid in part))
        program.stdin.close()
    found = []
    for program in programs:
        assert program.stdout is not None
        found.append(json.loads(program.stdout.read()))
        program.wait()
    return found
