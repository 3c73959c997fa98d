"""Routes of the system."""

from __future__ import annotations

from ..api.dialects import CONTAINERS, PIGLET
from ..api.route import Route
from .manager import SystemManager
from .metrics import MetricsManager
from .schemas import Resources, Status, System

ROUTES = [
    Route(
        "GET",
        "/api/v1/status",
        SystemManager.status,
        PIGLET,
        result=Status,
        summary="Whether all is well, and what is missing",
    ),
    Route(
        "GET",
        "/api/v1/system",
        SystemManager.system,
        PIGLET,
        result=System,
        summary="The machine that serves",
    ),
    Route(
        "GET",
        "/api/v1/metrics/resources",
        SystemManager.resources,
        CONTAINERS,
        result=Resources,
        summary="How busy the machine is",
    ),
    Route(
        "GET",
        "/api/v1/metrics/prometheus",
        MetricsManager.prometheus,
        PIGLET,
        "metrics:read",
        summary="Numbers of everything, in Prometheus's text format",
    ),
]
