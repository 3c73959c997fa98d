"""Routes of devices in dialect `matrix`."""

from __future__ import annotations

from typing import Any

from ..api.dialects import MATRIX
from ..api.route import Route
from .matrix import MatrixDevices

ROUTES = [
    Route(
        "GET",
        "/devices",
        MatrixDevices.list,
        MATRIX,
        "device:read",
        result=dict[str, list[int]],
        summary="Devices",
    ),
    Route(
        "GET",
        "/devices/property/{did}",
        MatrixDevices.facts,
        MATRIX,
        "device:read",
        result=dict[str, Any],
        summary="What a device has, and what of it is used",
    ),
]
