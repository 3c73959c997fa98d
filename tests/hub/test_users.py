"""Whose is what."""

from __future__ import annotations

import json

import httpx
import pytest
from websockets.sync.client import connect

from ..engines.hub import ADMIN, Hub
from ..engines.hub_browser import Browser
from .asking import CONTAINERS, by_token, names

pytestmark = [pytest.mark.hub, pytest.mark.docker, pytest.mark.timeout(240)]


def test_each_sees_and_touches_only_their_own(
    alice: Browser, bob: Browser, boxes: dict[str, str]
) -> None:
    assert names(alice.fetch("GET", CONTAINERS)) == {"hers"}
    assert names(bob.fetch("GET", CONTAINERS)) == {"his"}
    assert alice.fetch("GET", f"{CONTAINERS}/hers")["data"]["owner"] == alice.name
    for ref in ("hers", boxes["hers"], boxes["hers"][:12]):
        for method, path in (
            ("GET", ""),
            ("DELETE", "?force=true"),
            ("POST", "/stop"),
            ("GET", "/logs"),
        ):
            bob.fetch(method, f"{CONTAINERS}/{ref}{path}", 404)
    assert alice.fetch("GET", f"{CONTAINERS}/hers")["data"]["status"] == "running"


def test_one_can_not_use_the_others_server(hub: Hub, alice: Browser, bob: Browser) -> None:
    path = f"{hub.url}user/{alice.name}/{CONTAINERS}"
    token = hub.token(bob.name)["token"]
    refused = httpx.get(path, headers={"Authorization": f"token {token}"}, trust_env=False)
    assert refused.status_code in (401, 403)


def test_the_hubs_administrator_sees_all(hub: Hub, boxes: dict[str, str]) -> None:
    token = hub.token(ADMIN)["token"]
    assert names(by_token(hub, token).json()) == {"hers", "his"}
    roles = {u["username"]: u["role"] for u in by_token(hub, token, "api/v1/users").json()["users"]}
    assert roles[ADMIN] == "admin"
    assert roles[hub.alice.name] == roles[hub.bob.name] == "user"


def test_events_come_through_the_users_server(alice: Browser, boxes: dict[str, str]) -> None:
    where = f"{str(alice.base_url).replace('http', 'ws', 1)}user/{alice.name}/api/v1/ws"
    headers = {"Cookie": alice.cookie(f"user/{alice.name}/api/v1/ws")}
    with connect(where, additional_headers=headers, proxy=None) as opened:
        opened.send(json.dumps({"type": "auth", "id": 1}))
        assert json.loads(opened.recv(timeout=10))["data"]["user"]["username"] == alice.name
