"""A small HTTP and WebSocket server, for what a real one can't be made to say."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tornado import httpserver, netutil, web, websocket

Answer = Callable[["Speaking"], Any]


@dataclass
class Asked:
    """A request as it came."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body or b"null")


@dataclass
class Speaker:
    """The server: what it answers by method and path, and what it was asked."""

    url: str = ""
    answers: dict[str, Answer] = field(default_factory=dict)
    sockets: dict[str, Callable[[Talking], Any]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)

    def on(self, what: str, answer: Answer) -> None:
        """Answer ``GET /api/v1/status`` so."""
        self.answers[what] = answer

    def says(self, what: str, body: Any, status: int = 200, **headers: str) -> None:
        """Answer with this JSON."""

        def answer(handler: Speaking) -> None:
            handler.set_status(status)
            for name, value in headers.items():
                handler.set_header(name.replace("_", "-"), value)
            handler.finish(json.dumps(body))

        self.answers[what] = answer

    def paths(self) -> list[str]:
        return [f"{asked.method} {asked.path}" for asked in self.asked]


class Speaking(web.RequestHandler):
    def initialize(self, speaker: Speaker) -> None:
        self.speaker = speaker

    async def prepare(self) -> None:
        request = self.request
        path = "/" + request.path.removeprefix("/base/")
        query = {name: values[-1].decode() for name, values in request.query_arguments.items()}
        method = request.method or ""
        asked = Asked(method, path, query, dict(request.headers), request.body)
        self.speaker.asked.append(asked)
        answer = self.speaker.answers.get(f"{method} {path}")
        if answer is None:
            self.set_status(404)
            self.finish(json.dumps({"code": 404, "message": f"No {path}", "errors": []}))
            return
        result = answer(self)
        if asyncio.iscoroutine(result):
            await result
        if not self._finished:
            self.finish()

    async def say_event(self, event: str, data: Any, ident: str = "") -> None:
        """Send a server-sent event."""
        self.set_header("Content-Type", "text/event-stream")
        if ident:
            self.write(f"id: {ident}\n")
        self.write(f"event: {event}\ndata: {json.dumps(data)}\n\n")
        await self.flush()


class Talking(websocket.WebSocketHandler):
    def initialize(self, speaker: Speaker) -> None:
        self.speaker = speaker
        self.messages: asyncio.Queue[Any] = asyncio.Queue()

    async def get(self, *args: Any, **kwargs: Any) -> None:
        path = "/" + self.request.path.removeprefix("/base/")
        query = {n: v[-1].decode() for n, v in self.request.query_arguments.items()}
        headers = dict(self.request.headers)
        self.speaker.asked.append(Asked("WS", path, query, headers, b""))
        self.talk = self.speaker.sockets.get(path)
        if self.talk is None:
            self.set_status(404)
            self.finish(json.dumps({"code": 404, "message": f"No {path}", "errors": []}))
            return
        await super().get(*args, **kwargs)

    async def open(self, *args: str, **kwargs: str) -> None:
        async def run() -> None:
            assert self.talk is not None
            await self.talk(self)

        self.task = asyncio.ensure_future(run())

    def on_message(self, message: str | bytes) -> None:
        self.messages.put_nowait(json.loads(message))

    async def hear(self) -> Any:
        return await self.messages.get()

    async def say(self, message: Any) -> None:
        await self.write_message(json.dumps(message))

    def hang_up(self) -> None:
        """Close it, from whichever thread."""
        self.task.get_loop().call_soon_threadsafe(self.close, 1001)

    def on_close(self) -> None:
        self.messages.put_nowait(None)


@contextmanager
def speaking() -> Iterator[Speaker]:
    """Run the server in a thread."""
    speaker = Speaker()
    started = threading.Event()
    loops: list[asyncio.AbstractEventLoop] = []
    stop: list[asyncio.Event] = []

    async def main() -> None:
        sockets = r"/base/(?:api/v1/ws|.*/exec)"
        app = web.Application(
            [(sockets, Talking, {"speaker": speaker}), (".*", Speaking, {"speaker": speaker})]
        )
        server = httpserver.HTTPServer(app)
        bound = netutil.bind_sockets(0, "127.0.0.1")
        server.add_sockets(bound)
        speaker.url = f"http://127.0.0.1:{bound[0].getsockname()[1]}/base/"
        loops.append(asyncio.get_running_loop())
        stop.append(asyncio.Event())
        started.set()
        await stop[0].wait()
        server.stop()
        await server.close_all_connections()

    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    started.wait(10)
    try:
        yield speaker
    finally:
        loops[0].call_soon_threadsafe(stop[0].set)
        thread.join(10)
