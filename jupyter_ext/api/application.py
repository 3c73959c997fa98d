"""From the table of routes to Tornado's handlers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from ..events import Bus
from .channel import BoundSocket, ChannelSocket
from .endpoint import Endpoint
from .following import BoundFeed
from .frames import FrameSocket
from .methods import Bound, Methods
from .route import Feed, Route, SocketRoute, bind
from .services import Services
from .switch import Handler

# Where a path that nobody serves is still ours to refuse, in its dialect. Never Jupyter's own
# ``/api`` or ``/login``.
UNKNOWN = (
    r"/api/v1(?:/.*)?",
    r"/(?:containers|devices|images)(?:/.*)?",
    r"/api/(?:login|register|logout|verify)",
)


def handlers_for(
    routes: Iterable[Route], managers: Sequence[object], services: Services
) -> list[Handler]:
    """Return one handler per path: plain segments first, unknown paths last.

    Paths are below the base URL, which `ExtensionApp` puts before them.

    Raises
    ------
    LookupError
        A route calls what no manager offers.
    ValueError
        Two routes share method and path.
    """
    paths: dict[str, Methods] = defaultdict(Methods)
    patterns: dict[str, str] = {}
    for route in routes:
        methods = paths[route.path]
        begun = bind(route.begun, managers) if route.begun else None
        methods.add(Bound(route, bind(route.call, managers), begun))
        patterns[route.path] = route.pattern
    ordered = sorted(paths, key=lambda path: [part.startswith("{") for part in path.split("/")])
    handlers: list[Handler] = [
        (
            patterns[path] + "/?",
            Endpoint,
            {"services": services, "methods": paths[path], "path": path},
        )
        for path in ordered
    ]
    handlers += [
        (pattern, Endpoint, {"services": services, "methods": Methods(), "path": pattern})
        for pattern in UNKNOWN
    ]
    return handlers


def sockets_for(
    sockets: Iterable[SocketRoute],
    feeds: Iterable[Feed],
    managers: Sequence[object],
    services: Services,
    bus: Bus,
) -> list[Handler]:
    """Return the handlers of all WebSockets: those of single managers, and the one of events."""
    bound = [BoundFeed.of(feed, list(managers)) for feed in feeds]
    arguments = {"services": services, "bus": bus, "feeds": {feed.topic: feed for feed in bound}}
    channels: list[Handler] = [
        (
            route.pattern,
            ChannelSocket,
            {
                "services": services,
                "bound": BoundSocket(
                    call=bind(route.call, managers),
                    dialect=route.dialect,
                    permission=route.permission,
                    query=route.query,
                    errors={},
                ),
            },
        )
        for route in sockets
    ]
    return [*channels, (r"(?:/api/v1)?/ws", FrameSocket, arguments)]
