"""The page to try the API at. All it needs lies in this package: no internet."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from html import escape
from importlib.resources import files

from ..accounts.schemas import Account
from ..errors import NotFound, Unavailable
from .dialects import PIGLET
from .openapi import DocumentBuilder
from .render import encode
from .route import Document, Route

# Swagger UI styles its elements one by one; scripts come from this server alone.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; frame-ancestors 'self'"
)

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>jupyter_ext API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="{root}/docs/swagger-ui.css">
</head>
<body>
<div id="page"></div>
<noscript>This page needs JavaScript. The document is
<a href="{root}/openapi.json">openapi.json</a>.</noscript>
<script src="{root}/docs/swagger-ui-bundle.js"></script>
<script src="{root}/docs/docs.js"></script>
</body>
</html>
"""

# Jupyter's login cookie needs its XSRF token in a header; a key in a header needs nothing.
SCRIPT = """"use strict";
SwaggerUIBundle({
  url: new URL("../openapi.json", document.currentScript.src).href,
  dom_id: "#page",
  deepLinking: true,
  validatorUrl: null,
  requestInterceptor(request) {
    const match = document.cookie.match(/(?:^|; )_xsrf=([^;]*)/);
    if (match && new URL(request.url, location.href).origin === location.origin) {
      request.headers["X-XSRFToken"] = decodeURIComponent(match[1]);
    }
    return request;
  },
});
"""

ASSETS = {
    "swagger-ui.css": "text/css; charset=utf-8",
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "docs.js": "text/javascript; charset=utf-8",
}


class Reference:
    """The OpenAPI document and its page.

    Parameters
    ----------
    base_url
        Where the server is mounted.
    """

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url
        self.routes: Sequence[Route] = ROUTES
        """The whole table; set when it is complete."""
        self._document: bytes | None = None

    async def openapi(self, caller: Account | None) -> Document:
        """Return the document."""
        if self._document is None:
            builder = DocumentBuilder()
            for route in self.routes:
                builder.add(route)
                # All of it takes too long to hold everybody up.
                await asyncio.sleep(0)
            self._document = encode(builder.document(self._base_url))
        return Document(self._document, "application/json")

    async def page(self, caller: Account | None) -> Document:
        """Return the page."""
        root = escape(self._base_url.rstrip("/") + "/api/v1")
        return Document(PAGE.format(root=root).encode(), "text/html; charset=utf-8", POLICY)

    async def asset(self, caller: Account | None, name: str) -> Document:
        """Return one of the page's own files.

        Raises
        ------
        NotFound
            There is no such file.
        Unavailable
            The panel, and this page's files with it, were not built.
        """
        if name not in ASSETS:
            raise NotFound("file", name)
        if name == "docs.js":
            return Document(SCRIPT.encode(), ASSETS[name])
        try:
            body = (files(__package__) / "static" / name).read_bytes()
        except FileNotFoundError:
            raise Unavailable(
                f"{name} is not built.", "Install the wheel, or run `make run` in the checkout."
            ) from None
        return Document(body, ASSETS[name])


ROUTES = [
    Route(
        "GET",
        "/api/v1/openapi.json",
        Reference.openapi,
        PIGLET,
        result=Document,
        public=True,
        summary="This description, as OpenAPI 3.1",
    ),
    Route(
        "GET",
        "/api/v1/docs",
        Reference.page,
        PIGLET,
        result=Document,
        public=True,
        summary="A page to read and try it at",
    ),
    Route(
        "GET",
        "/api/v1/docs/{name}",
        Reference.asset,
        PIGLET,
        result=Document,
        public=True,
        summary="A file of that page",
    ),
]
