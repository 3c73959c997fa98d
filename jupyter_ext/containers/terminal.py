"""The Jupyter terminal protocol over a process in a container."""

from __future__ import annotations

import asyncio
import codecs
from contextlib import suppress
from typing import Any

from ..api.route import Channel
from .engine_types import ExecSession

LARGEST = 1000
"""Rows and columns."""


async def serve_terminal(channel: Channel, session: ExecSession) -> None:
    """Pass what a person types to a process and what it prints back, until either side ends."""
    await channel.send(["setup", {}])
    typing = asyncio.ensure_future(_typed(channel, session))
    printing = asyncio.ensure_future(_printed(channel, session))
    try:
        await asyncio.wait((typing, printing), return_when=asyncio.FIRST_COMPLETED)
        if printing.done():
            printing.result()
            await channel.send(["disconnect", 1])
        else:
            typing.result()
    finally:
        for task in (typing, printing):
            task.cancel()
        await asyncio.gather(typing, printing, return_exceptions=True)


async def _printed(channel: Channel, session: ExecSession) -> None:
    decoders = {name: codecs.getincrementaldecoder("utf-8")("replace") for name in _STREAMS}
    while (found := await session.read()) is not None:
        stream, data = found
        text = decoders[stream].decode(data)
        if text:
            # With a terminal there is one stream, as the protocol knows it; without, two.
            await channel.send([stream, text])
    # Beyond the protocol, which a person needs no more than this of: programs want the code.
    await channel.send(["exit", await session.exit_code()])


async def _typed(channel: Channel, session: ExecSession) -> None:
    # Also raised as StopAsyncIteration where the other side has gone.
    while True:
        try:
            message = await channel.receive()
        except StopAsyncIteration:
            return
        match message:
            case ["stdin", str() as text, *_]:
                await session.write(text.encode())
            case ["stdin_end", *_]:
                await session.close_stdin()
            case ["set_size", rows, columns, *_]:
                with suppress(TypeError, ValueError):
                    await session.resize(_bounded(rows), _bounded(columns))
            case _:
                continue


def _bounded(number: Any) -> int:
    return min(max(int(number), 1), LARGEST)


_STREAMS = ("stdout", "stderr")
