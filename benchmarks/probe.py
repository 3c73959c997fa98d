"""A server extension of the benchmarks: empty handlers to compare with, and the lag of the loop.

It is enabled only in the servers that the benchmarks start, with and without the extension.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from jupyter_server.auth.decorator import allow_unauthenticated
from jupyter_server.base.handlers import APIHandler
from jupyter_server.utils import url_path_join
from tornado import web

PAUSE = 0.005
"""Seconds that the lag's task sleeps."""


class EmptyAuthenticated(APIHandler):
    """What any extension's simplest route costs."""

    @web.authenticated
    def get(self) -> None:
        """Answer nothing."""
        self.finish()


class EmptyOpen(APIHandler):
    """The same without a login."""

    @allow_unauthenticated
    def get(self) -> None:
        """Answer nothing."""
        self.finish()


class EmptyTornado(web.RequestHandler):
    """What the web server itself costs."""

    @allow_unauthenticated
    def get(self) -> None:
        """Answer nothing."""
        self.finish()


class Lag(APIHandler):
    """By how much a task on the server's loop oversleeps."""

    task: asyncio.Task[None] | None = None
    samples: list[float]

    @web.authenticated
    def put(self) -> None:
        """Begin."""
        Lag.samples = []
        if Lag.task is not None:
            Lag.task.cancel()
        Lag.task = asyncio.get_running_loop().create_task(self._probe(Lag.samples))
        self.finish()

    @web.authenticated
    def get(self) -> None:
        """End, and answer all samples in seconds."""
        if Lag.task is not None:
            Lag.task.cancel()
            Lag.task = None
        self.finish({"samples": Lag.samples})

    @staticmethod
    async def _probe(samples: list[float]) -> None:
        while True:
            began = time.perf_counter()
            await asyncio.sleep(PAUSE)
            samples.append(time.perf_counter() - began - PAUSE)


def _load_jupyter_server_extension(server: Any) -> None:
    root = server.web_app.settings["base_url"]
    handlers: list[tuple[str, Any]] = [
        (url_path_join(root, "benchmarks", name), handler)
        for name, handler in {
            "authenticated": EmptyAuthenticated,
            "open": EmptyOpen,
            "tornado": EmptyTornado,
            "lag": Lag,
        }.items()
    ]
    server.web_app.add_handlers(".*$", handlers)


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "benchmarks.probe"}]
