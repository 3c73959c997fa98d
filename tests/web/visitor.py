"""A browser, as far as pages notice: it keeps cookies by host, and says where a request is from."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urlsplit

import httpx
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin


class Visitor:
    """One browser; names below ``.localhost`` lead to this machine, as browsers have it."""

    def __init__(self) -> None:
        self.cookies: dict[str, dict[str, str]] = {}
        self.set_cookies: list[str] = []
        self.http = httpx.Client(trust_env=False, timeout=60)

    def close(self) -> None:
        self.http.close()

    def _headers(self, url: str, more: Mapping[str, str]) -> dict[str, str]:
        parts = urlsplit(url)
        own = self.cookies.get(parts.hostname or "", {})
        cookie = "; ".join(f"{name}={value}" for name, value in own.items())
        return {"Host": parts.netloc, **({"Cookie": cookie} if cookie else {}), **more}

    @staticmethod
    def _here(url: str) -> str:
        parts = urlsplit(url)
        return parts._replace(netloc=f"127.0.0.1:{parts.port}").geturl()

    def _learn(self, url: str, reply: httpx.Response) -> None:
        jar = self.cookies.setdefault(urlsplit(url).hostname or "", {})
        for header in reply.headers.get_list("set-cookie"):
            self.set_cookies.append(header)
            for name, morsel in SimpleCookie(header).items():
                jar[name] = morsel.value

    def __call__(
        self, url: str, method: str = "GET", headers: Mapping[str, str] | None = None, **more: Any
    ) -> httpx.Response:
        """Send a request as the page's own; redirects are not followed."""
        sent = self._headers(url, {"Sec-Fetch-Site": "same-origin", **(headers or {})})
        reply = self.http.request(method, self._here(url), headers=sent, **more)
        self._learn(url, reply)
        return reply

    @contextmanager
    def stream(self, url: str, **more: Any) -> Iterator[httpx.Response]:
        """Receive an answer piece by piece."""
        headers = self._headers(url, {"Sec-Fetch-Site": "same-origin"})
        with self.http.stream("GET", self._here(url), headers=headers, **more) as reply:
            yield reply

    def follow(self, url: str) -> httpx.Response:
        """Follow a link of another site."""
        asked = {
            "Sec-Fetch-Site": "cross-site",
            "Sec-Fetch-Mode": "navigate",
            "Sec-Fetch-Dest": "document",
            "Accept": "text/html",
        }
        return self(url, headers=asked)

    def socket(self, url: str, origin: str | None = None, **more: Any) -> ClientConnection:
        """Open a WebSocket from a page."""
        parts = urlsplit(url)
        headers = self._headers(url, {})
        # The library says the host by itself, from the address.
        del headers["Host"]
        opened: ClientConnection = connect(
            f"ws://{parts.netloc}{parts.path}",
            sock=_connected(parts.port or 80),
            origin=Origin(origin or f"http://{parts.netloc}"),
            additional_headers=headers,
            proxy=None,
            **more,
        )
        return opened


def _connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port))
