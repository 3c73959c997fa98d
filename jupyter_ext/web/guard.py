"""Who gets through to a container: the right origin, the right browser, not too much at once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import (
    Forbidden,
    InvalidRequest,
    NotFound,
    PlatformError,
    RateLimited,
    Unauthenticated,
)
from . import cookies
from .headers import Visit
from .manager import PageManager
from .names import Place

if TYPE_CHECKING:
    from tornado.httputil import HTTPServerRequest

    from ..containers.doors import Door

CONNECTIONS = 100
"""Requests and WebSockets of one page at once."""

RECHECK_SECONDS = 1.0
"""Between two looks whether what goes on may still go on; a look is one find in a dictionary."""

ENDS = (Unauthenticated, Forbidden, NotFound)
"""What ends it. That nobody can be asked now does not."""

FOREIGN = "A page of another origin asked for this."

T = TypeVar("T")


class Guard:
    """Judges every request.

    Parameters
    ----------
    secure
        Whether browsers reach the pages over https.
    """

    def __init__(self, pages: PageManager, *, secure: bool) -> None:
        self.pages = pages
        self.secure = secure
        self._open: Counter[Place] = Counter()

    def origin(self, request: HTTPServerRequest) -> str:
        """The origin that the browser sees; its host is checked by `place`."""
        return f"{'https' if self.secure else 'http'}://{request.host.lower()}"

    def place(self, request: HTTPServerRequest) -> Place:
        """What the request's host stands for.

        Raises
        ------
        NotFound
            Nothing.
        """
        return self.pages.place(request.host_name)

    async def admit(self, request: HTTPServerRequest) -> Door:
        """Find the way for a request.

        Raises
        ------
        PlatformError
            The browser has not opened the page, a page of another origin sends it, or the container
            does not run.
        """
        place = self.place(request)
        if not request.path.startswith("/"):
            # Behind the container's address it would lead to another host: ``@there/``.
            raise InvalidRequest("The address does not begin with a slash.")
        self._check_site(request)
        sent = cookies.sessions(request.headers.get("Cookie", ""), secure=self.secure)
        return await self.pages.door(place, sent)

    def _check_site(self, request: HTTPServerRequest) -> None:
        """Refuse what another origin's page makes the browser send, but for following a link.

        Cookies are sent along from pages of the same site, as of another container below the same
        domain. Browsers say by Sec-Fetch-Site where a request comes from (W3C Fetch Metadata), and
        by Origin where it may do harm, or opens a WebSocket.
        """
        headers = request.headers
        origin = headers.get("Origin")
        if origin is not None and origin.lower() != self.origin(request):
            raise Forbidden(FOREIGN)
        if headers.get("Upgrade", "").lower() == "websocket":
            # Always with an Origin; browsers disagree about the site of ws://.
            if origin is None:
                raise Forbidden("A WebSocket is opened by the page itself.")
            return
        site = headers.get("Sec-Fetch-Site", "none")
        followed = (
            request.method in ("GET", "HEAD")
            and headers.get("Sec-Fetch-Mode") == "navigate"
            and headers.get("Sec-Fetch-Dest") == "document"
        )
        if site not in ("same-origin", "none") and not followed:
            raise Forbidden(FOREIGN)

    @contextmanager
    def counted(self, request: HTTPServerRequest) -> Iterator[None]:
        """Count a request while it goes on.

        Raises
        ------
        RateLimited
            There are too many.
        """
        place = self.place(request)
        if self._open[place] >= CONNECTIONS:
            raise RateLimited(1, f"{CONNECTIONS} requests of this page are under way.")
        self._open[place] += 1
        try:
            yield
        finally:
            self._open[place] -= 1
            if not self._open[place]:
                del self._open[place]

    async def while_open(self, request: HTTPServerRequest, work: Coroutine[Any, Any, T]) -> T:
        """Do something for as long as the page is open.

        Raises
        ------
        PlatformError
            It was closed meanwhile; `work` is cancelled.
        """
        task = asyncio.ensure_future(work)
        try:
            while not (await asyncio.wait({task}, timeout=RECHECK_SECONDS))[0]:
                try:
                    await self.admit(request)
                except ENDS:
                    raise
                except PlatformError:
                    continue
            return task.result()
        finally:
            if not task.done():
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)


def visit_of(guard: Guard, request: HTTPServerRequest, door: Door) -> Visit:
    """Return what the headers of a request are made of."""
    return Visit(
        guard.origin(request),
        door.inside,
        request.remote_ip or "",
        door.password if guard.place(request).service == "jupyter" else None,
        door.cookie,
    )


def address_of(door: Door) -> str:
    """Return host and port as URLs have them."""
    host = f"[{door.host}]" if ":" in door.host else door.host
    return f"{host}:{door.port}"
