"""The route of containers that are idle."""

from __future__ import annotations

from ..api.dialects import CONTAINERS
from ..api.route import Route
from ..containers import views
from ..containers.views import Container
from .manager import IdleManager
from .schemas import Keep

ROUTES = [
    Route(
        "POST",
        "/api/v1/containers/{ref}/keep",
        IdleManager.keep,
        CONTAINERS,
        "container:start",
        body=Keep,
        result=Container,
        view=views.detail,
        summary="Keep it running although it is idle",
    ),
]
