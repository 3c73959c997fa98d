"""Routes of services."""

from __future__ import annotations

from ..api.dialects import PIGLET
from ..api.route import Feed, Page, Route
from .manager import LOGS, ServiceManager
from .schemas import Service, ServiceLog, ServiceLogQuery

ALL = "/api/v1/services"
ONE = f"{ALL}/{{service}}"

ROUTES = [
    Route(
        "GET",
        ALL,
        ServiceManager.list,
        PIGLET,
        "service:read",
        result=Page[Service],
        summary="Services and how they are",
    ),
    Route(
        "POST",
        f"{ONE}/{{action}}",
        ServiceManager.act,
        PIGLET,
        "service:control",
        may=True,
        result=Service,
        summary="Start, stop or restart a service",
    ),
    Route(
        "GET",
        f"{ONE}/logs",
        ServiceManager.logs,
        PIGLET,
        LOGS,
        query=ServiceLogQuery,
        result=ServiceLog,
        summary="The end of a service's log",
    ),
]
FEEDS = [Feed("services", ServiceManager.feed, permission="service:read")]
