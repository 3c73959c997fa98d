"""Who is let in by what: keys, Jupyter's login, and what happens where several are sent."""

from __future__ import annotations

import os
import stat
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from ..engines import jupyter
from .conftest import browser, user_key

ROUTES_OF_JUPYTER = [
    "api/kernels",
    "api/contents",
    "api/sessions",
    "api/terminals",
    "api/kernelspecs",
    "api/me",
    "files/x",
    "lab",
    "tree",
]


@pytest.fixture(scope="session")
def eve(edge: jupyter.JupyterServer) -> str:
    """A key of a user who is no administrator."""
    return user_key(edge, "eve")


# -- each carrier --------------------------------------------------------------------------------


def test_an_api_key_opens_as_x_api_key_and_as_bearer(edge, anonymous):
    key = edge.key()
    assert anonymous.get("api/v1/status", headers={"X-API-Key": key}).status_code == 200
    bearer = {"Authorization": f"Bearer {key}"}
    assert anonymous.get("api/v1/status", headers=bearer).status_code == 200
    assert anonymous.get("api/v1/status", headers={"Authorization": f"bearer {key}"}).is_success


@pytest.mark.parametrize("scheme", ["token", "Bearer"])
def test_jupyters_token_opens_as_a_header(edge, anonymous, scheme):
    headers = {"Authorization": f"{scheme} {edge.token}"}
    assert anonymous.get("api/v1/status", headers=headers).status_code == 200


def test_jupyters_token_opens_as_a_parameter(edge, anonymous):
    assert anonymous.get("api/v1/status", params={"token": edge.token}).status_code == 200


def test_jupyters_cookie_opens_reads(edge):
    with browser(edge) as client:
        assert client.get("api/v1/status").status_code == 200


def test_jupyters_cookie_needs_its_xsrf_token_to_write(edge):
    with browser(edge) as client:
        refused = client.post("api/v1/api-keys", json={"name": "from a page"})
        assert refused.status_code == 403
        assert refused.json()["error"]["code"] == "FORBIDDEN"
        assert "_xsrf" in refused.json()["error"]["message"]
        sent = client.post(
            "api/v1/api-keys",
            json={"name": "from a page"},
            headers={"X-XSRFToken": client.cookies["_xsrf"]},
        )
        assert sent.status_code == 201, sent.text


def test_a_foreign_origin_can_not_use_jupyters_cookie(edge):
    with browser(edge) as client:
        headers = {"X-XSRFToken": client.cookies["_xsrf"], "Origin": "http://evil.example"}
        reply = client.post("api/v1/api-keys", json={"name": "x"}, headers=headers)
        assert reply.status_code == 403
        assert "origin" in reply.json()["error"]["message"].lower()
        assert client.get("api/v1/status", headers=headers).status_code == 403


def test_no_cors_header_lets_another_origin_read(edge, admin):
    reply = admin.get("status", headers={"Origin": "http://evil.example"})
    assert "Access-Control-Allow-Origin" not in reply.headers


def test_a_foreign_host_name_is_refused(admin):
    reply = admin.get("status", headers={"Host": "rebound.example"})
    assert reply.status_code == 403
    assert reply.json()["error"]["code"] == "FORBIDDEN"


def test_everybody_whom_jupyter_lets_in_is_the_owner(edge):
    """Jupyter's shared token makes another anonymous user per browser; keys show the account."""
    owners = set()
    for _ in range(2):
        with browser(edge) as client:
            made = client.post(
                "api/v1/api-keys",
                json={"name": "who"},
                headers={"X-XSRFToken": client.cookies["_xsrf"]},
            )
            owners.add(made.json()["owner"])
    assert owners == {"admin"}


# -- bad ones never fall back --------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {"X-API-Key": "nonsense"},
        {"X-API-Key": ""},
        {"X-API-Key": "jx_" + "A" * 49},
        {"Authorization": "Bearer jx_" + "A" * 49},
        {"Authorization": "Bearer nonsense"},
        {"Authorization": "token nonsense"},
        {"Authorization": "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9."},
    ],
    ids=lambda headers: next(iter(headers.values()))[:14] or "empty",
)
def test_a_bad_header_credential_is_401_beside_a_good_cookie(edge, headers):
    with browser(edge) as client:
        assert client.get("api/v1/status").status_code == 200
        reply = client.get("api/v1/status", headers=headers)
        assert reply.status_code == 401
        assert reply.json()["error"]["code"] == "UNAUTHORIZED"


def test_another_scheme_of_a_proxy_in_front_is_not_ours(edge):
    with browser(edge) as client:
        headers = {"Authorization": "Basic cHJveHk6cGFzcw=="}
        assert client.get("api/v1/status", headers=headers).status_code == 200


def test_two_header_credentials_that_disagree_are_401(edge, anonymous, eve):
    both = {"X-API-Key": edge.key(), "Authorization": f"Bearer {eve}"}
    assert anonymous.get("api/v1/status", headers=both).status_code == 401
    mixed = {"X-API-Key": eve, "Authorization": f"token {edge.token}"}
    assert anonymous.get("api/v1/status", headers=mixed).status_code == 401
    same = {"X-API-Key": edge.key(), "Authorization": f"Bearer {edge.key()}"}
    assert anonymous.get("api/v1/status", headers=same).status_code == 200


def test_a_header_key_counts_before_jupyters_parameter(edge, anonymous, eve):
    """Eve's key beside the owner's token is Eve: she may not make users."""
    reply = anonymous.post(
        "api/v1/users",
        params={"token": edge.token},
        headers={"X-API-Key": eve},
        json={"username": "mallory", "password": "secret pass"},
    )
    assert reply.status_code == 403


def test_a_key_needs_no_xsrf_token_and_minds_no_cookie(edge):
    with browser(edge) as client:
        reply = client.post(
            "api/v1/api-keys", json={"name": "script"}, headers={"X-API-Key": edge.key()}
        )
        assert reply.status_code == 201


# -- the life of a key ---------------------------------------------------------------------------


def test_a_revoked_key_is_dead_at_once(edge, admin):
    made = admin.post("api-keys", json={"name": "short"}).json()
    headers = {"X-API-Key": made["key"]}
    assert httpx.get(edge.api + "/status", headers=headers).status_code == 200
    assert admin.delete(f"api-keys/{made['id']}").status_code == 200
    assert httpx.get(edge.api + "/status", headers=headers).status_code == 401


def test_a_key_ends_when_it_expires(edge, admin):
    soon = datetime.now(UTC) + timedelta(seconds=2)
    made = admin.post("api-keys", json={"name": "x", "expires_at": soon.isoformat()}).json()
    headers = {"X-API-Key": made["key"]}
    assert httpx.get(edge.api + "/status", headers=headers).status_code == 200
    deadline = time.monotonic() + 10
    while httpx.get(edge.api + "/status", headers=headers).status_code == 200:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert datetime.now(UTC) >= soon


def test_a_key_is_shown_once_and_listed_without_itself(admin):
    made = admin.post("api-keys", json={"name": "listed"}).json()
    assert made["key"].startswith("jx_")
    listed = admin.get("api-keys").text
    assert made["id"] in listed
    assert made["key"] not in listed


def test_a_key_with_scopes_opens_only_these(edge, admin):
    made = admin.post("api-keys", json={"name": "narrow", "scopes": ["image:read"]}).json()
    headers = {"X-API-Key": made["key"]}
    assert httpx.get(edge.api + "/users", headers=headers).status_code == 403
    assert httpx.post(edge.api + "/api-keys", headers=headers, json={}).status_code == 403


def test_a_key_that_adds_users_makes_none_who_may_more(edge, admin):
    body = {"name": "onboarding", "scopes": ["user:create", "container:read"]}
    headers = {"X-API-Key": admin.post("api-keys", json=body).json()["key"]}
    with httpx.Client(base_url=f"{edge.api}/", headers=headers, trust_env=False) as robot:
        tom = {"username": "tom", "password": "a long password"}
        assert robot.post("users", json={**tom, "role": "admin"}).status_code == 403
        assert robot.post("users", json={**tom, "permissions": ["audit:read"]}).status_code == 403
        assert robot.post("invitations", json={"role": "admin"}).status_code == 403
        # What it is for.
        made = robot.post("users", json={**tom, "permissions": ["container:read"]})
        assert made.status_code == 201, made.text
        assert robot.post("invitations", json={"role": "user"}).status_code == 201
        # Whom it made it can't look at: it has no user:read.
        assert robot.get("users/tom").status_code == 404
        assert robot.get("users/admin").json()["username"] == "admin"
    assert admin.get("users/tom").json()["role"] == "user"


def test_users_keys_are_their_own(edge, admin, eve):
    mine = admin.post("api-keys", json={"name": "the administrator's"}).json()
    headers = {"X-API-Key": eve}
    assert mine["id"] not in httpx.get(edge.api + "/api-keys", headers=headers).text
    gone = httpx.delete(f"{edge.api}/api-keys/{mine['id']}", headers=headers)
    assert gone.status_code == 404


def test_only_an_administrator_makes_keys_for_others(edge, eve):
    reply = httpx.post(
        edge.api + "/api-keys", headers={"X-API-Key": eve}, json={"name": "x", "owner": "admin"}
    )
    assert reply.status_code == 403


def test_the_command_line_makes_a_key_that_works(edge):
    made = edge.pig("api", "key", "create", "--name", "cli", "--json")
    import json

    fields = json.loads(made)
    assert set(fields) == {"id", "name", "key"}
    assert httpx.get(edge.api + "/status", headers={"X-API-Key": fields["key"]}).is_success
    done = edge.run(edge.python, "-m", "jupyter_ext.cli", "api", "key", "revoke", fields["id"])
    assert done.returncode == 0, done.stderr
    assert httpx.get(edge.api + "/status", headers={"X-API-Key": fields["key"]}).status_code == 401


# -- Jupyter's own paths -------------------------------------------------------------------------


@pytest.mark.parametrize("path", ROUTES_OF_JUPYTER)
@pytest.mark.parametrize("carrier", ["X-API-Key", "Authorization"])
def test_a_key_opens_none_of_jupyters_own_routes(edge, anonymous, path, carrier):
    value = edge.key() if carrier == "X-API-Key" else f"Bearer {edge.key()}"
    reply = anonymous.get(path, headers={carrier: value}, follow_redirects=False)
    # Jupyter sends a visitor without a login to its login page, or refuses; unknown paths are 404.
    assert reply.status_code in (302, 401, 403, 404), reply.text
    assert "set-cookie" not in reply.headers or "username-" not in reply.headers["set-cookie"]
    if reply.status_code == 302:
        assert "login" in reply.headers["location"]


def test_a_key_starts_no_kernel(edge, anonymous):
    reply = anonymous.post("api/kernels", headers={"X-API-Key": edge.key()}, json={})
    assert reply.status_code == 403


@pytest.mark.parametrize(
    ("path", "mark"),
    [
        ("api", '"version"'),
        ("api/status", '"kernels"'),
        ("api/kernels", "["),
        ("api/contents", '"type"'),
        ("login", "<html"),
        ("metrics", "# HELP"),
        ("api/me", '"identity"'),
    ],
)
def test_no_path_of_jupyters_is_shadowed(edge, anonymous, path, mark):
    reply = anonymous.get(path, params={"token": edge.token}, follow_redirects=True)
    assert reply.status_code == 200
    assert mark in reply.text
    assert "X-Request-Id" not in reply.headers


# -- kernels -------------------------------------------------------------------------------------


def test_kernels_find_the_server_and_a_private_short_lived_key_of_the_owner(edge):
    import json

    found = json.loads((edge.home / "server.json").read_text())
    assert found["url"] == edge.url
    token_file = Path(found["token_file"])
    assert stat.S_IMODE(token_file.stat().st_mode) == 0o600
    assert stat.S_IMODE((edge.home / "server.json").stat().st_mode) == 0o600
    headers = {"X-API-Key": token_file.read_text().strip()}
    made = httpx.post(edge.api + "/api-keys", headers=headers, json={"name": "of a kernel"})
    assert made.json()["owner"] == "admin"
    # Not counted, not listed, and never in an environment.
    assert "X-RateLimit-Limit" not in made.headers
    assert "local" not in httpx.get(edge.api + "/api-keys", headers=headers).text
    environ = Path(f"/proc/{edge.process.pid}/environ")
    if environ.exists():
        assert headers["X-API-Key"].encode() not in environ.read_bytes()
    assert os.environ.get("JUPYTER_EXT_TOKEN_FILE") is None


def test_watching_is_not_activity(edge, admin):
    """Polling must not keep an idle server alive; making something does."""
    with httpx.Client(base_url=edge.url, headers={"Authorization": f"token {edge.token}"}) as seen:

        def last() -> str:
            status = seen.get("api/status", params={"no_track_activity": 1})
            return str(status.json()["last_activity"])

        before = last()
        assert admin.get("status").is_success
        assert admin.get("operations").is_success
        assert last() == before
        assert admin.post("api-keys", json={"name": "activity"}).status_code == 201
        assert last() > before


def test_no_key_is_ever_logged(edge, admin):
    made = admin.post("api-keys", json={"name": "log"}).json()
    httpx.get(edge.api + "/none", headers={"X-API-Key": made["key"]})
    httpx.get(edge.api + "/status", headers={"X-API-Key": made["key"] + "x"})
    assert made["key"][3:] not in edge.log
