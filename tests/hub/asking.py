"""How the desk is asked."""

from __future__ import annotations

from typing import Any

import httpx

from ..engines.hub import Hub

DESK = "services/desk/"
CONTAINERS = "api/v1/containers"
SERVICE = "access:services!service=desk"


def names(listed: Any) -> set[str]:
    return {item["name"] for item in listed["data"]["items"]}


def by_token(hub: Hub, token: str, path: str = CONTAINERS) -> httpx.Response:
    """Ask the desk itself, through the hub's proxy."""
    headers = {"Authorization": f"token {token}"}
    return httpx.get(hub.url + DESK + path, headers=headers, trust_env=False, timeout=30)
