"""Two desks, one PostgreSQL, one Redis: what one takes away opens nothing at the other any more."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from ..engines import jupyter, redis
from ..engines.postgres import PostgresServer
from ..engines.stores import PostgresStore
from .conftest import UNLIMITED

pytestmark = pytest.mark.postgres

PASSWORD = "correct horse"
SOON = 1.0
"""Seconds until every desk knows: the contract's."""
LIMIT = 30

Desks = tuple[jupyter.JupyterServer, jupyter.JupyterServer]


@pytest.fixture(scope="module")
def desks(postgres_server: PostgresServer) -> Iterator[Desks]:
    """Two servers that share all but their folders."""
    with ExitStack() as stack:
        counter = stack.enter_context(redis.redis())
        store = PostgresStore(stack.enter_context(postgres_server.database()))
        config = store.config
        config["JupyterExt"] |= {
            "admin_password": PASSWORD,
            "rate_limits": {**UNLIMITED, "metadata": {"amount": LIMIT, "seconds": 60}},
            "rate_limit_storage": counter.url,
        }
        one = stack.enter_context(jupyter.jupyter_server(config=config))
        other = stack.enter_context(jupyter.jupyter_server(config=config))
        yield one, other


@pytest.fixture
def here(desks: Desks) -> Iterator[httpx.Client]:
    """The administrator at the first desk."""
    with desks[0].client() as client:
        yield client


@pytest.fixture
def there(desks: Desks) -> Iterator[httpx.Client]:
    """Nobody yet at the second desk, on a connection that is open."""
    with httpx.Client(base_url=desks[1].api, trust_env=False, timeout=30) as client:
        client.get("openapi.json").raise_for_status()
        yield client


def somebody(here: httpx.Client, name: str, **more: Any) -> dict[str, str]:
    """A new user's name and password."""
    body = {"username": name, "password": PASSWORD}
    here.post("users", json={**body, **more}).raise_for_status()
    return body


def key_of(here: httpx.Client, name: str) -> tuple[str, dict[str, str]]:
    """A key's id, and the header that carries it."""
    made = here.post("api-keys", json={"name": "x", "owner": name}).json()
    return made["id"], {"X-API-Key": made["key"]}


def login(where: httpx.Client, body: dict[str, str]) -> dict[str, str]:
    """The header of a new login."""
    reply = where.post("auth/login", json=body)
    assert reply.status_code == 200, reply.text
    return {"Authorization": f"Bearer {reply.json()['token']}"}


def within_a_second(
    there: httpx.Client, path: str, headers: dict[str, str], status: int, act: Callable[[], Any]
) -> None:
    """What opened at the second desk is refused a second after the first desk has answered."""
    for _ in range(3):
        # It is remembered there, not only found.
        assert there.get(path, headers=headers).status_code == 200
    assert act().is_success
    began = time.monotonic()
    while (found := there.get(path, headers=headers)).status_code == 200:
        assert time.monotonic() - began < SOON, f"still open after {SOON} s"
        time.sleep(0.02)
    assert found.status_code == status, found.text


def test_a_revoked_key(here: httpx.Client, there: httpx.Client) -> None:
    somebody(here, "anna")
    ident, headers = key_of(here, "anna")
    within_a_second(there, "status", headers, 401, lambda: here.delete(f"api-keys/{ident}"))


@pytest.mark.parametrize("carrier", ["key", "token"])
def test_a_disabled_user(here: httpx.Client, there: httpx.Client, carrier: str) -> None:
    name = f"bert-{carrier}"
    body = somebody(here, name)
    headers = key_of(here, name)[1] if carrier == "key" else login(here, body)
    off = {"status": "disabled"}
    within_a_second(there, "status", headers, 401, lambda: here.put(f"users/{name}", json=off))


def test_a_deleted_user(here: httpx.Client, there: httpx.Client) -> None:
    headers = login(here, somebody(here, "carl"))
    within_a_second(there, "status", headers, 401, lambda: here.delete("users/carl"))


def test_a_changed_role(here: httpx.Client, there: httpx.Client) -> None:
    headers = login(here, somebody(here, "dora", role="admin"))
    role = {"role": "user"}
    within_a_second(there, "users", headers, 403, lambda: here.put("users/dora", json=role))


def test_a_permission_of_a_role_of_ones_own_making(here: httpx.Client, there: httpx.Client) -> None:
    role = {"name": "looker", "permissions": ["user:read", "container:read"]}
    here.post("roles", json=role).raise_for_status()
    headers = login(here, somebody(here, "emil", role="looker"))
    less = {"permissions": ["container:read"]}
    within_a_second(there, "roles", headers, 403, lambda: here.put("roles/looker", json=less))


def test_a_login_that_ended(desks: Desks, here: httpx.Client, there: httpx.Client) -> None:
    headers = login(here, somebody(here, "fred"))
    with httpx.Client(base_url=desks[0].api, trust_env=False, timeout=30) as nobody:
        within_a_second(
            there, "status", headers, 401, lambda: nobody.post("auth/logout", headers=headers)
        )


def test_a_token_that_was_refreshed(desks: Desks, here: httpx.Client, there: httpx.Client) -> None:
    headers = login(here, somebody(here, "gert"))
    with httpx.Client(base_url=desks[0].api, trust_env=False, timeout=30) as nobody:
        within_a_second(
            there, "status", headers, 401, lambda: nobody.post("auth/refresh", headers=headers)
        )


def test_requests_are_counted_together(desks: Desks) -> None:
    with httpx.Client(trust_env=False, timeout=30) as client:
        codes = [
            client.get(f"{desks[number % 2].api}/currentUser").status_code
            for number in range(LIMIT + 2)
        ]
    assert codes == [401] * LIMIT + [429] * 2


def test_wrong_passwords_are_counted_together(desks: Desks) -> None:
    seen: Counter[tuple[int, int]] = Counter()
    right = {"username": "admin", "password": PASSWORD}
    with httpx.Client(trust_env=False, timeout=30) as client:
        for number in range(24):
            body = {"username": f"nobody-{number}", "password": "wrong one"}
            reply = client.post(f"{desks[number % 2].api}/auth/login", json=body)
            seen[number % 2, reply.status_code] += 1
        for desk in desks:
            assert client.post(f"{desk.api}/auth/login", json=right).status_code == 429
            # Keys go on.
            headers = {"X-API-Key": desk.key()}
            assert client.get(f"{desk.api}/users", headers=headers).is_success
    assert seen == {(0, 401): 5, (1, 401): 5, (0, 429): 7, (1, 429): 7}
