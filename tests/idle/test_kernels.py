"""What real Jupyter servers, and others that answer at their ports, say of kernels."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from jupyter_ext.idle import kernels
from jupyter_ext.idle.kernels import Kernels, KernelUse

from ..engines import jupyter

TOKEN = "the-token-of-the-container"


@pytest.fixture(scope="module")
def server() -> Iterator[jupyter.JupyterServer]:
    """Run a Jupyter server without the extension, as a container has it."""
    with jupyter.jupyter_server(extension=False, base_url="/", token=TOKEN) as running:
        yield running


@pytest.fixture
def ask(server: jupyter.JupyterServer):
    async def use(token: str = TOKEN) -> KernelUse | None:
        asking = Kernels()
        try:
            return await asking.use("127.0.0.1", server.port, token)
        finally:
            await asking.close()

    return use


async def test_a_real_server_tells_of_its_kernels(server: jupyter.JupyterServer, ask) -> None:
    assert await ask() == KernelUse(False, None)
    headers = {"Authorization": f"token {TOKEN}"}
    begun = datetime.now(UTC) - timedelta(seconds=1)
    async with httpx.AsyncClient(base_url=server.url, headers=headers, trust_env=False) as http:
        made = (await http.post("api/kernels", json={"name": "python3"})).raise_for_status().json()
        try:
            found = await ask()
            assert found is not None
            assert found.last is not None
            assert begun <= found.last <= datetime.now(UTC)
            await keep_busy(server, made["id"], ask)
        finally:
            await http.delete(f"api/kernels/{made['id']}")


async def keep_busy(server: jupyter.JupyterServer, kernel: str, ask) -> None:
    """Let a kernel compute, which the server then says."""
    from websockets.asyncio.client import connect

    url = f"ws://127.0.0.1:{server.port}/api/kernels/{kernel}/channels?token={TOKEN}"
    code = {"code": "import time; time.sleep(600)", "silent": False, "store_history": False}
    header = {"msg_id": "1", "session": "1", "username": "", "version": "5.3"}
    message = {
        "header": {**header, "msg_type": "execute_request", "date": ""},
        "parent_header": {},
        "metadata": {},
        "channel": "shell",
        "content": {**code, "user_expressions": {}, "allow_stdin": False},
    }
    async with connect(url) as socket:
        await socket.send(json.dumps(message))
        deadline = time.monotonic() + 30
        while not ((found := await ask()) and found.busy):
            assert time.monotonic() < deadline, found
            await asyncio.sleep(0.2)


async def test_one_who_does_not_let_us_in_says_nothing(ask) -> None:
    assert await ask("another token") is None


@pytest.mark.parametrize(
    ("head", "body", "expected"),
    [
        ("200 OK", b"[]", KernelUse(False, None)),
        ("200 OK", b'[{"execution_state":"busy"}]', KernelUse(True, None)),
        ("200 OK", b'[7, null, {"last_activity": 5}]', KernelUse(False, None)),
        (
            "200 OK",
            b'[{"last_activity": "2026-03-01T10:00:00Z"}]',
            KernelUse(False, datetime(2026, 3, 1, 10, tzinfo=UTC)),
        ),
        ("200 OK", b"no JSON", None),
        ("200 OK", b'{"kernels": []}', None),
        ("200 OK", b"[" * 100_000, None),
        ("200 OK", b" " * (kernels.LARGEST + 1) + b"[]", None),
        ("302 Found\r\nLocation: http://127.0.0.1:1/", b"[]", None),
        ("500 Oh", b"[]", None),
    ],
)
async def test_whatever_answers_can_do_no_harm(
    head: str, body: bytes, expected: KernelUse | None
) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 {head}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        writer.close()

    assert await asked(answer) == expected


async def test_one_who_never_ends_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "SECONDS", 0.3)

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer):
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            for _ in range(50):
                writer.write(b" ")
                await asyncio.sleep(0.1)

    begun = time.monotonic()
    assert await asked(drip) is None
    assert time.monotonic() - begun < 3


async def asked(answer) -> KernelUse | None:
    """Ask a server that answers so."""
    answering: list[asyncio.Task[None]] = []

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answering.append(asyncio.ensure_future(answer(reader, writer)))

    listening = await asyncio.start_server(begin, "127.0.0.1", 0)
    asking = Kernels()
    try:
        port = listening.sockets[0].getsockname()[1]
        return await asking.use("127.0.0.1", port, TOKEN)
    finally:
        await asking.close()
        listening.close()
        for task in answering:
            task.cancel()
        await asyncio.gather(*answering, return_exceptions=True)


async def test_nobody_there() -> None:
    asking = Kernels()
    assert await asking.use("127.0.0.1", 1, TOKEN) is None
    await asking.close()
