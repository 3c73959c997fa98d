"""A server extension of the benchmarks: one empty route of ours, with and without a credential.

Beside it stands the same route of a document that has cookies, which looks at them first.
"""

from __future__ import annotations

from typing import Any

from jupyter_ext.accounts.schemas import Account, Client
from jupyter_ext.api.application import UNKNOWN, handlers_for
from jupyter_ext.api.dialects import MATRIX, PIGLET
from jupyter_ext.api.route import Route

OPEN = "/benchmarks/doors/open"
CLOSED = "/benchmarks/doors/closed"
COOKIES = "/benchmarks/doors/cookies"


class Doors:
    """Answers nothing, twice."""

    async def anybody(self, caller: None, client: Client) -> dict[str, str]:
        """Answer whoever asks."""
        return {}

    async def account(self, caller: Account) -> dict[str, str]:
        """Answer an account."""
        return {}


ROUTES = [
    Route("GET", OPEN, Doors.anybody, PIGLET, public=True, anonymous=True, summary="Open"),
    Route("GET", CLOSED, Doors.account, PIGLET, summary="Closed"),
    Route("GET", COOKIES, Doors.account, MATRIX, summary="Closed, by cookies"),
]


def _load_jupyter_server_extension(server: Any) -> None:
    # The extension itself is loaded after this one.
    server.io_loop.add_callback(_open, server)


def _open(server: Any) -> None:
    (app,) = server.extension_manager.extension_apps["jupyter_ext"]
    root = server.web_app.settings["base_url"].rstrip("/")
    handlers = [
        (root + pattern, kind, kwargs)
        for pattern, kind, kwargs in handlers_for(ROUTES, [Doors()], app._desk.services)
        if pattern not in UNKNOWN
    ]
    server.web_app.add_handlers(".*$", handlers)


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "benchmarks.doors"}]
