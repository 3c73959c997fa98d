"""Guesses passwords from a thousand addresses: ``python attacker.py PORT PATH ADDRESSES EACH``.

A program of its own, behind everybody else's work, as attackers have machines of their own. Prints
JSON: how many replies had which status, and how long each status took in the middle. A try whose
reply takes longer than anybody's patience is given up and counted as such.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
import time
from collections import defaultdict

CONNECTIONS = 150
PAUSE = 0.4
"""Seconds between a reply and the next try on a connection: its way through the network."""

PATIENCE = 5.0
"""Seconds that a reply is waited for."""
GIVEN_UP = "given up"


def address(number: int) -> str:
    """Return one of many addresses of this machine."""
    return f"127.66.{number // 250}.{number % 250 + 1}"


def request(port: int, path: str, number: int, turn: int) -> bytes:
    """Return a login: at the administrator by every second address, at anybody by the others."""
    name = "admin" if number % 2 else f"name-{number}-{turn}"
    body = json.dumps({"username": name, "password": f"wrong {number} {turn}"}).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, sent: bytes) -> str:
    """Send a request, read its reply to the end, and return its status."""
    writer.write(sent)
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
    await reader.readexactly(length)
    return head.split()[1]


async def attack(port: int, path: str, addresses: int, each: int) -> dict[str, list[float]]:
    """Send all, and return the seconds of each reply by status."""
    seconds: dict[str, list[float]] = defaultdict(list)
    waiting = iter(range(addresses))

    async def guess(number: int) -> None:
        source = (address(number), 0)
        streams = None
        for turn in range(each):
            if streams is None:
                streams = await asyncio.open_connection("127.0.0.1", port, local_addr=source)
            began = time.monotonic()
            try:
                async with asyncio.timeout(PATIENCE):
                    status = await reply(*streams, request(port, path, number, turn))
            except TimeoutError:
                status = GIVEN_UP
                streams[1].close()
                streams = None
            seconds[status].append(time.monotonic() - began)
            await asyncio.sleep(PAUSE)
        if streams is not None:
            streams[1].close()

    async def work() -> None:
        for number in waiting:
            await guess(number)

    await asyncio.gather(*(work() for _ in range(CONNECTIONS)))
    return seconds


def main(port: str, path: str, addresses: str, each: str) -> None:
    """Attack, and print what came of it."""
    os.nice(10)
    began = time.monotonic()
    seconds = asyncio.run(attack(int(port), path, int(addresses), int(each)))
    print(
        json.dumps(
            {
                "replies": {status: len(values) for status, values in seconds.items()},
                "medians": {status: statistics.median(v) for status, v in seconds.items()},
                "seconds": time.monotonic() - began,
            }
        )
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
