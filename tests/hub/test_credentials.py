"""What opens the desk, and for how long."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from ..engines.hub import ADMIN, GROUP, MEMBER, OUTSIDE_TOKEN, SERVICE_TOKEN, Hub
from ..engines.hub_browser import Browser
from ..engines.jupyter import environment
from ..engines.scratch import stop, wait_until
from .asking import CONTAINERS, DESK, SERVICE, by_token, names

pytestmark = [pytest.mark.hub, pytest.mark.docker, pytest.mark.timeout(240)]


def test_only_users_tokens_that_open_the_desk_count(hub: Hub) -> None:
    assert by_token(hub, hub.token(MEMBER)["token"]).status_code == 200
    assert by_token(hub, hub.token(MEMBER, SERVICE)["token"]).status_code == 200
    narrow = by_token(hub, hub.token(MEMBER, "read:users!user")["token"])
    assert narrow.status_code == 403
    assert SERVICE in narrow.json()["message"]
    service = by_token(hub, SERVICE_TOKEN)
    assert service.status_code == 403
    assert "Only users' tokens" in service.json()["message"]
    assert by_token(hub, "made-up").status_code == 401
    assert httpx.get(hub.url + DESK + CONTAINERS, trust_env=False).status_code == 401


@pytest.mark.slow
def test_what_the_hub_takes_away_is_gone_within_half_a_minute(hub: Hub) -> None:
    """A token, a group's role and an administrator, all remembered a moment ago."""
    token, admin = hub.token(MEMBER), hub.token(ADMIN)["token"]
    spare = hub.token(MEMBER)["token"]

    def role(name: str) -> str:
        users = by_token(hub, boss, "api/v1/users").json()["users"]
        return next(str(user["role"]) for user in users if user["username"] == name)

    hub.ask("POST", "/users/chief", json={"admin": True})
    boss = hub.token("chief")["token"]
    for each in (token["token"], spare, admin, boss):
        assert by_token(hub, each).status_code == 200
    assert (role(MEMBER), role(ADMIN)) == ("operator", "admin")
    assert by_token(hub, spare, "api/v1/users").status_code == 403

    hub.ask("DELETE", f"/users/{MEMBER}/tokens/{token['id']}")
    hub.ask("DELETE", f"/groups/{GROUP}/users", json={"users": [MEMBER]})
    hub.ask("PATCH", f"/users/{ADMIN}", json={"admin": False})
    time.sleep(31)
    assert by_token(hub, token["token"]).status_code == 401
    assert by_token(hub, spare).status_code == 200
    assert by_token(hub, admin, "api/v1/users").status_code == 403
    assert (role(MEMBER), role(ADMIN)) == ("user", "user")
    hub.ask("PATCH", f"/users/{ADMIN}", json={"admin": True})


def test_a_browser_logs_in_at_the_desk_by_the_hub(
    hub: Hub, alice: Browser, boxes: dict[str, str]
) -> None:
    page = alice.get(DESK)
    assert page.status_code == 200
    assert page.url.path == f"/{DESK}api/v1/docs"
    assert names(alice.fetch_below(DESK, "GET", CONTAINERS)) == {"hers"}
    made = alice.fetch_below(DESK, "POST", "api/v1/api-keys", 201, json={"name": "page"})
    assert made["owner"] == alice.name
    foreign = alice.request(
        "POST", f"{DESK}api/v1/api-keys", json={"name": "x"}, headers={"Sec-Fetch-Mode": "cors"}
    )
    assert foreign.status_code in (401, 403)
    assert alice.post(f"{DESK}api/shutdown").status_code in (403, 404)


def test_clients_keep_their_addresses(hub: Hub) -> None:
    assert "trust_xheaders" not in hub.log


def test_a_desk_that_the_hub_does_not_start(hub: Hub, tmp_path: Path) -> None:
    """With the environment that docs/operators.md names, as systemd would start it."""
    environ = environment(tmp_path) | {
        "JUPYTERHUB_API_URL": hub.api,
        "JUPYTERHUB_API_TOKEN": OUTSIDE_TOKEN,
        "JUPYTERHUB_SERVICE_NAME": "outside",
        "JUPYTERHUB_SERVICE_URL": hub.outside,
        "JUPYTERHUB_SERVICE_PREFIX": "/services/outside/",
        "JUPYTERHUB_CLIENT_ID": "service-outside",
        "DOCKER_HOST": hub.engine.url,
    }
    command = [sys.executable, "-m", "jupyter_ext.cli", "serve", "--allow-root"]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environ, cwd=tmp_path, stdout=log, stderr=log)
    url = f"{hub.url}services/outside/"
    headers = {"Authorization": f"token {hub.token(ADMIN)['token']}"}

    def up() -> bool:
        reply = httpx.get(url + CONTAINERS, headers=headers, trust_env=False, timeout=30)
        return reply.status_code == 200

    try:
        wait_until(up, "the desk outside", 60, 0.5)
        closed = {"Authorization": f"token {hub.token(MEMBER)['token']}"}
        refused = httpx.get(url + CONTAINERS, headers=closed, trust_env=False)
        assert refused.status_code == 403
        assert "service=outside" in refused.json()["message"]
        with closing(Browser(hub, ADMIN)) as dana:
            assert dana.get("services/outside/").url.path == "/services/outside/api/v1/docs"
            assert dana.fetch_below("services/outside/", "GET", CONTAINERS)["code"] == 200
    finally:
        stop(process)
