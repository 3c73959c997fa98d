"""Somebody's browser in front of a JupyterHub."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import httpx

from . import scratch
from .hub import PASSWORD, Hub


class Browser(httpx.Client):
    """Somebody's browser, which went through the hub's login page."""

    def __init__(self, hub: Hub, name: str) -> None:
        super().__init__(
            base_url=hub.url,
            trust_env=False,
            timeout=30,
            follow_redirects=True,
            headers={"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "same-origin"},
        )
        self.hub = hub
        self.name = name
        self.get("hub/login").raise_for_status()
        form = {"username": name, "password": PASSWORD, "_xsrf": self.xsrf("hub/")}
        self.post("hub/login", params={"next": "/hub/home"}, data=form).raise_for_status()

    def xsrf(self, path: str) -> str:
        """Return what a page below `path` reads from its cookie."""
        found = [c.value for c in self.cookies.jar if c.name == "_xsrf" and c.path == f"/{path}"]
        return (found[0] or "") if found else ""

    def cookie(self, path: str) -> str:
        """Return the cookies of a page below `path`, for a WebSocket."""
        request = self.build_request("GET", path)
        return str(request.headers.get("Cookie", ""))

    def start_server(self) -> None:
        """Start one's own server."""
        self.get("hub/spawn").raise_for_status()

    def visit_server(self) -> None:
        """Visit one's own server until JupyterLab is there."""
        own = f"/user/{self.name}/lab"

        def there() -> bool:
            page = self.get(own)
            return page.status_code == 200 and urlsplit(str(page.url)).path == own

        try:
            scratch.wait_until(there, f"the server of {self.name}", 60, 0.5)
        except TimeoutError as error:
            raise RuntimeError(f"{error}\n{self.hub.log}") from None

    def fetch(self, method: str, path: str, expect: int = 200, **options: Any) -> Any:
        """Ask one's own server as JupyterLab's scripts do."""
        return self.fetch_below(f"user/{self.name}/", method, path, expect, **options)

    def fetch_below(
        self, prefix: str, method: str, path: str, expect: int = 200, **options: Any
    ) -> Any:
        """Ask as a page below `prefix` does, and return the reply's JSON."""
        headers = {"Sec-Fetch-Mode": "cors", "X-XSRFToken": self.xsrf(prefix)}
        reply = self.request(method, prefix + path, headers=headers, **options)
        assert reply.status_code == expect, (
            f"{method} {path}: {reply.status_code} {reply.text}\n{self.hub.log[-5000:]}"
        )
        return reply.json() if reply.content else None
