"""The desk's second listener: nothing but pages of containers, each at its own host name.

A plain Tornado application: below Jupyter's own handlers its login, its cookies and its XSRF tokens
would be at work, which must not meet what containers serve. No proxy of Jupyter's world is used for
the same reason: they serve under Jupyter's origin. The way to containers is httpx, whose answers
are read as fast as the browser takes them, and Tornado's own WebSocket client.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import cached_property
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, Any

from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPServerRequest
from tornado.netutil import bind_sockets
from tornado.routing import Matcher, Rule
from tornado.web import Application

from ..accounts.schemas import AuditEntry
from ..errors import PlatformError, Unauthenticated, Unavailable
from ..system.schemas import Problem
from .cookies import session_name
from .guard import Guard
from .manager import OPEN_PATH, PERMISSION, ROOM_PERMISSION, SPENT, PageManager
from .proxy import Page, PageProxy
from .socket import LARGEST_FRAME, PageSocket

if TYPE_CHECKING:
    import httpx

    from ..api.services import Audit

SERVICE = "pages"
MEGABYTE = 1 << 20
HEADER_BYTES = 64 << 10
IDLE_SECONDS = 120.0
PING_SECONDS = 30.0
OVERLONG = 16 * MEGABYTE
"""Beyond the limit Tornado still takes so much in, so that the refusal is ours."""

_log = logging.getLogger(__name__)


class Open(Page):
    """Exchanges a ticket for a session, and leads to the page."""

    def initialize(self, guard: Guard, audit: Audit) -> None:
        """Take who judges."""
        self.guard = guard
        self._audit = audit

    async def get(self) -> None:
        """Set the cookie; the ticket leaves the address."""
        self.set_header("Cache-Control", "no-store")
        self.set_header("Referrer-Policy", "no-referrer")
        self.set_header("Cross-Origin-Opener-Policy", "same-origin-allow-popups")
        try:
            place = self.guard.place(self.request)
            tickets = self.get_query_arguments("ticket")
            if len(tickets) != 1:
                raise Unauthenticated(SPENT)
            entered = await self.guard.pages.enter(place, tickets[0])
        except PlatformError as error:
            self.refuse(error)
            return
        self._audit.note(
            AuditEntry(
                PERMISSION if place.cid is not None else ROOM_PERMISSION,
                200,
                entered.account,
                address=self.request.remote_ip or "",
                method="OPEN",
                path=OPEN_PATH,
                target=f"{entered.door.name} {place.cid or ''} {place.service}",
            )
        )
        guarded: dict[str, Any] = {
            "path": "/",
            "httponly": True,
            "samesite": "Lax",
            "secure": self.guard.secure,
            "max_age": round(entered.lifetime),
        }
        self.set_cookie(session_name(secure=self.guard.secure), entered.secret, **guarded)
        self.set_status(303)
        self.set_header("Location", "/")


class _Upgrades(Matcher):
    def match(self, request: HTTPServerRequest) -> dict[str, Any] | None:
        return {} if request.headers.get("Upgrade", "").lower() == "websocket" else None


class _Opens(Matcher):
    def match(self, request: HTTPServerRequest) -> dict[str, Any] | None:
        return {} if request.path == OPEN_PATH else None


class _Anything(Matcher):
    def match(self, request: HTTPServerRequest) -> dict[str, Any] | None:
        return {}


class Listener:
    """Serves pages.

    Parameters
    ----------
    address
        That it is bound to; empty for all.
    port
        0 for any free one.
    ssl_options
        As Tornado takes them; None serves without TLS.
    secure
        Whether browsers reach it over https, by its own certificate or by a proxy's.
    body_limit
        Bytes of one request.
    trust_proxy
        Whether a proxy in front says who visits.
    """

    def __init__(
        self,
        pages: PageManager,
        *,
        address: str,
        port: int,
        ssl_options: Any,
        secure: bool,
        body_limit: int,
        trust_proxy: bool,
        audit: Audit,
    ) -> None:
        self._pages = pages
        self._address, self._port = address, port
        self._ssl = ssl_options
        self._secure = secure
        self._body_limit = body_limit
        self._trust_proxy = trust_proxy
        self._audit = audit
        self._server: HTTPServer | None = None
        self._bound = 0
        self._problem: Problem | None = None
        self.tls = ssl_options is not None

    @property
    def port(self) -> int:
        """The port that it listens on.

        Raises
        ------
        Unavailable
            It does not.
        """
        if self._server is None:
            problem = self._problem or Problem(service=SERVICE, what="Pages are not served yet.")
            raise Unavailable(problem.what, problem.cure)
        return self._bound

    def probe(self) -> tuple[str, Problem | None]:
        """Its state, from memory."""
        return ("running" if self._server is not None else "stopped"), self._problem

    def start(self) -> None:
        """Listen; where the port is taken, the status says so and nothing else stops."""
        self._pages.listening = self
        try:
            sockets = bind_sockets(self._port, self._address or None)
        except OSError as error:
            where = f"{self._address or '*'}:{self._port}"
            self._problem = Problem(
                service=SERVICE,
                what=f"Pages of containers can't be served at {where}: {error.strerror or error}.",
                cure="Set JupyterExt.web_port (0 is any free one) or web_ip, and start again.",
            )
            _log.warning("%s %s", self._problem.what, self._problem.cure)
            return
        self._bound = sockets[0].getsockname()[1]
        self._server = HTTPServer(
            self._application(),
            ssl_options=self._ssl,
            xheaders=self._trust_proxy,
            max_header_size=HEADER_BYTES,
            max_body_size=self._body_limit + OVERLONG,
            idle_connection_timeout=IDLE_SECONDS,
        )
        self._server.add_sockets(sockets)
        _log.info("Pages of containers are served at port %d", self._bound)

    async def stop(self) -> None:
        """Serve nobody any more."""
        server, self._server = self._server, None
        if server is not None:
            server.stop()
            await server.close_all_connections()
        if "client" in self.__dict__:
            await self.client.aclose()

    @cached_property
    def client(self) -> httpx.AsyncClient:
        """The connections to containers."""
        import httpx

        return httpx.AsyncClient(
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=20),
            # Everybody's requests pass here: what one is given must never be sent for another.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            trust_env=False,
        )

    def _application(self) -> Application:
        guard = Guard(self._pages, secure=self._secure)
        way = {"guard": guard, "client": lambda: self.client, "body_limit": self._body_limit}
        return Application(
            [
                Rule(_Opens(), Open, {"guard": guard, "audit": self._audit}),
                Rule(_Upgrades(), PageSocket, {"guard": guard}),
                Rule(_Anything(), PageProxy, way),
            ],
            log_function=_logged,
            websocket_max_message_size=LARGEST_FRAME,
            websocket_ping_interval=PING_SECONDS,
        )


def tls_options(
    options: Mapping[str, Any] | None, certfile: str, keyfile: str
) -> dict[str, Any] | None:
    """Return what serves with a Jupyter server's certificate; None where it has none."""
    found = dict(options or {})
    if certfile:
        found |= {"certfile": certfile, **({"keyfile": keyfile} if keyfile else {})}
    return found if "certfile" in found else None


def _logged(handler: Any) -> None:
    """Log a request without its query, where tickets and tokens are."""
    request = handler.request
    _log.debug("%d %s %s%s", handler.get_status(), request.method, request.host, request.path)
