"""Routes of containers' pages."""

from __future__ import annotations

from ..api.dialects import CONTAINERS, PIGLET
from ..api.route import Route
from .manager import PERMISSION, ROOM_PERMISSION, PageManager
from .schemas import OpenedPage, OpenPage, OpenService

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
    Route(
        "POST",
        "/api/v1/services/{service}/open",
        PageManager.open_service,
        PIGLET,
        ROOM_PERMISSION,
        body=OpenService,
        credential=True,
        result=OpenedPage,
        summary="A link to a service's web page, which works once",
    ),
]
