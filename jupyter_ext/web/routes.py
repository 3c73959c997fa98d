"""Routes of containers' pages."""

from __future__ import annotations

from ..api.dialects import CONTAINERS
from ..api.route import Route
from .manager import PERMISSION, PageManager
from .schemas import OpenedPage, OpenPage

ROUTES = [
    Route(
        "POST",
        "/api/v1/containers/{ref}/open",
        PageManager.open,
        CONTAINERS,
        PERMISSION,
        body=OpenPage,
        credential=True,
        result=OpenedPage,
        summary="A link to a web page of it, which works once",
    ),
]
