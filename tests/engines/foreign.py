"""What a container of the tests serves: it says what it was sent, and does what it is asked to.

Runs inside, with Python and Tornado alone; listens on 8888 and on 6006.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from typing import Any

from tornado import web, websocket

PIECE = b"0123456789abcdef" * 4096


class Said(web.RequestHandler):
    """What arrived."""

    def get(self, *_: str) -> None:
        connection: Any = self.request.connection
        self.write(
            {
                "method": self.request.method,
                "uri": self.request.uri,
                "headers": sorted(self.request.headers.get_all()),
                "host": self.request.host,
                "body": self.request.body.decode("latin-1"),
                "port": connection.stream.socket.getsockname()[1],
                "password": os.environ.get("JUPYTER_EXT_PASSWORD"),
            }
        )

    post = put = patch = delete = options = get


class Home(web.RequestHandler):
    """A page."""

    def get(self) -> None:
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.write("<!doctype html><title>inside</title><h1>inside</h1>")


class Headers(web.RequestHandler):
    """Answers with the headers of the query."""

    def get(self) -> None:
        self.set_status(int(self.get_query_argument("status", "200")))
        self.clear_header("Content-Type")
        for header in self.get_query_arguments("header"):
            name, _, value = header.partition(":")
            self.add_header(name, value)


class Big(web.RequestHandler):
    """Sends so many bytes, as fast as they are taken."""

    async def get(self) -> None:
        size = int(self.get_query_argument("size"))
        if self.get_query_argument("length", ""):
            self.set_header("Content-Length", str(size))
        for _ in range(size // len(PIECE)):
            self.write(PIECE)
            await self.flush()


class Broken(web.RequestHandler):
    """Promises more than it sends."""

    async def get(self) -> None:
        self.set_header("Content-Length", "1000")
        self.write(b"half")
        await self.flush()
        connection: Any = self.request.connection
        connection.stream.close()


class Ticks(web.RequestHandler):
    """Sends something, and then nothing more for long."""

    async def get(self) -> None:
        self.write(b"tick\n")
        await self.flush()
        await asyncio.sleep(600)


uploads: list[dict[str, Any]] = []


@web.stream_request_body
class Upload(web.RequestHandler):
    """Takes anything, slowly where it is asked to, and says what it was."""

    def prepare(self) -> None:
        self.size, self.digest = 0, hashlib.sha256()
        self.pause = float(self.request.headers.get("X-Pause", "0"))
        uploads.append({"size": 0, "whole": False})
        self.mine = uploads[-1]

    async def data_received(self, chunk: bytes) -> None:
        await asyncio.sleep(self.pause)
        self.mine["size"] += len(chunk)
        self.digest.update(chunk)

    def post(self) -> None:
        self.mine["whole"] = True
        self.write({"size": self.mine["size"], "sha256": self.digest.hexdigest()})


class Uploads(web.RequestHandler):
    """What uploads there were."""

    def get(self) -> None:
        self.write({"uploads": uploads})


class Socket(websocket.WebSocketHandler):
    """Says what it was opened with, then repeats; with ``?check`` only for its own origin."""

    def check_origin(self, origin: str) -> bool:
        return super().check_origin(origin)

    def select_subprotocol(self, subprotocols: list[str]) -> str | None:
        return "v1.kernel.websocket.jupyter.org" if subprotocols else None

    def open(self, *args: str, **kwargs: str) -> None:
        self.write_message({"headers": sorted(self.request.headers.get_all())})

    async def on_message(self, message: str | bytes) -> None:
        if message == "bye":
            self.close(4321, "as you like")
        elif isinstance(message, str) and message.startswith("send "):
            for _ in range(int(message.split()[1])):
                await self.write_message(PIECE, binary=True)
        else:
            await self.write_message(message, binary=isinstance(message, bytes))


async def main() -> None:
    application = web.Application(
        [
            (r"/", Home),
            (r"/headers", Headers),
            (r"/big", Big),
            (r"/broken", Broken),
            (r"/ticks", Ticks),
            (r"/upload", Upload),
            (r"/uploads", Uploads),
            (r"/ws", Socket),
            (r"/(.*)", Said),
        ]
    )
    for port in (8888, 6006):
        application.listen(port, max_body_size=8 << 30)
    await asyncio.Event().wait()


asyncio.run(main())
