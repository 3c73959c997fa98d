"""The audit of a running server, with either database: nothing is lost, and nothing is told."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from jupyter_ext.store.secrets import KEY_VARIABLE

from ..engines import jupyter, scratch
from ..engines.jupyter import JupyterServer
from ..engines.stores import KEY

ADMIN_PASSWORD = "correct horse staple"
UNLIMITED = {name: {"amount": 0} for name in ("piglet", "containers")}


def sql(store_url: str, statement: str) -> list[Any]:
    """Ask the database itself."""
    if store_url.startswith("sqlite"):
        with closing(sqlite3.connect(store_url.removeprefix("sqlite:///"), timeout=30)) as file:
            rows = file.execute(statement).fetchall()
            file.commit()
            return rows
    with psycopg.connect(store_url) as server:
        cursor = server.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


class Desk:
    """A server on a store, which may be killed and comes back on the same state."""

    def __init__(self, store_url: str, stack: ExitStack) -> None:
        self._store_url = store_url
        self._stack = stack
        self.server = self._start()

    def _start(self, home: Path | None = None) -> JupyterServer:
        config = {
            "JupyterExt": {
                "store_url": self._store_url,
                "admin_password": ADMIN_PASSWORD,
                "rate_limits": UNLIMITED,
            }
        }
        return self._stack.enter_context(
            jupyter.jupyter_server(config=config, environ={KEY_VARIABLE: KEY}, home=home)
        )

    def kill(self) -> None:
        """End it as a crash does."""
        self.server.process.kill()
        self.server.process.wait()

    def start_again(self) -> JupyterServer:
        """Start it on what it left behind."""
        keys = self.server.keys
        self.server = self._start(self.server.home)
        self.server.keys.update(keys)
        return self.server


@pytest.fixture(scope="module")
def desk(module_store_url: str) -> Iterator[Desk]:
    with ExitStack() as stack:
        yield Desk(module_store_url, stack)


@pytest.fixture
def server(desk: Desk) -> JupyterServer:
    desk.server.key()
    return desk.server


def entries(server: JupyterServer, **query: Any) -> list[dict[str, Any]]:
    with server.client() as admin:
        reply = admin.get("audit", params={"limit": 1000, **query})
        assert reply.status_code == 200, reply.text
        found: list[dict[str, Any]] = reply.json()["entries"]
        return found


def test_each_outcome_and_who_reads_of_it(server: JupyterServer) -> None:
    alice = {"username": "alice", "password": "wonderland"}
    [last] = entries(server, limit=1)
    with server.client() as admin:
        first = admin.post("users", json=alice)
        assert first.status_code == 201
        assert admin.post("users", json=alice).status_code == 409
        assert admin.post("users", json={"username": "user-7"}).status_code == 400
        made = admin.post("api-keys", json={"name": "hers", "owner": "alice"}).json()
        again = {"Idempotency-Key": "again"}
        for _ in range(2):
            assert admin.post("api-keys", json={"name": "once"}, headers=again).status_code == 201
        assert admin.delete("operations/op-none").status_code == 404
        assert admin.get("operations/op-none").status_code == 404
        assert admin.post("images/pull", json={"name": "busybox"}).status_code == 503
    headers = {"X-API-Key": made["key"]}
    with httpx.Client(base_url=server.api, headers=headers, trust_env=False) as hers:
        assert hers.get("audit").status_code == 403
        assert hers.delete("users/admin").status_code == 403
        assert hers.put("users/alice/password", json={"password": "x" * 8}).is_success
        assert hers.delete(f"api-keys/{made['id']}").is_success
        assert hers.delete(f"api-keys/{made['id']}").status_code == 401
    found = [
        (e["username"], e["action"], e["status"], e["outcome"], e["target"])
        for e in reversed(entries(server))
        if e["method"] != "END" and e["id"] > last["id"]
    ]
    key = made["id"]
    assert found == [
        ("admin", "user:create", 201, "succeeded", found[0][4]),
        ("admin", "user:create", 409, "failed", ""),
        ("admin", "user:create", 400, "failed", ""),
        ("admin", "api-key:create", 201, "succeeded", f"hers {key} owner=alice"),
        ("admin", "api-key:create", 201, "succeeded", found[4][4]),
        ("admin", "api-key:create", 201, "succeeded", ""),
        ("admin", "operation:cancel", 404, "failed", "op-none"),
        ("admin", "image:pull", 503, "failed", ""),
        ("alice", "audit:read", 403, "refused", ""),
        ("alice", "user:delete", 403, "refused", "admin"),
        ("alice", "user:password", 200, "succeeded", f"alice {first.json()['id']}"),
        ("alice", "api-key:delete", 200, "succeeded", key),
    ]
    assert found[0][4].split()[0] == "alice"
    assert found[4][4].split()[0] == "once"
    assert [e["message"] for e in entries(server, action="api-key:create")[:2]] == ["REPLAYED", ""]
    [wrong] = entries(server, action="user:create", outcome="failed", limit=1)
    assert wrong["message"] == "INVALID_REQUEST: username, password"
    assert wrong["credential"].startswith("key:key-")
    assert (wrong["address"], wrong["path"]) == ("127.0.0.1", "/api/v1/users")
    assert {e["action"] for e in entries(server, action="user:*")} == {
        "user:create",
        "user:delete",
        "user:password",
    }
    assert len(entries(server, user="alice", outcome="refused")) == 2
    assert entries(server, to=wrong["at"], before=1) == []
    with server.client() as admin:
        for bad in ({"outcome": "maybe"}, {"from": "yesterday"}, {"limit": 0}, {"before": "x"}):
            reply = admin.get("audit", params=bad)
            assert reply.status_code == 400
            assert set(reply.json()["error"]["details"]) == set(bad)
    assert "user:password" in server.pig("audit", "--user", "alice", "--action", "user:*")
    shown = json.loads(server.pig("audit", "--since", "1h", "--limit", "2", "--json"))
    assert len(shown) == 2


def test_no_secret_is_in_it_wherever_it_is_sent(
    server: JupyterServer, module_store_url: str
) -> None:
    password = "hunter2-very-secret"
    local = (server.home / "token").read_text()
    jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZG1pbiJ9.c2lnbmF0dXJlLW9mLWl0"
    with server.client() as admin:
        key = admin.post("api-keys", json={"name": "spare"}).json()["key"]
        secrets = [key, server.key(), local, jwt, password, ADMIN_PASSWORD, server.token]
        routes = [
            (method, path)
            for path, item in admin.get("openapi.json").json()["paths"].items()
            for method in item
            if method not in ("get", "head")
        ]
        assert len(routes) > 10
        for secret in secrets:
            # A password that is typed where a name belongs is a name: nobody can tell.
            word = "web" if secret in (password, ADMIN_PASSWORD, server.token) else secret
            body: dict[str, Any] = dict.fromkeys(("name", "username", "image"), word)
            body |= dict.fromkeys(("email", "role", "owner", "command", "tag"), secret)
            body |= {
                "password": secret,
                "environment": {secret: secret},
                "ports": {secret: 1},
                "volumes": [{"host_path": secret, "container_path": secret}],
                "scopes": [secret],
                "expires_at": secret,
                secret: "\0",
            }
            for method, path in routes:
                where = path.removeprefix("/api/v1/").split("{")[0]
                rest = "/".join(part if "}" not in part else word for part in path.split("/"))
                for sent in (body, {"name": word, "owner": secret}, [secret], secret):
                    admin.request(
                        method,
                        "../../" + rest.lstrip("/") if "{" in path else where,
                        params={"token": secret, "path": secret, "force": secret},
                        headers={
                            "X-Secret": secret,
                            "User-Agent": secret,
                            "Idempotency-Key": f"{secret}{len(str(sent))}"[:200],
                            "Cookie": f"user_token={secret}",
                            "Referer": f"http://x/?{secret}",
                        },
                        content=json.dumps(sent).encode(),
                    )
            for headers in ({"X-API-Key": secret}, {"Authorization": f"Bearer {secret}"}):
                httpx.post(f"{server.api}/users", headers=headers, trust_env=False)
            admin.put("users/admin/password", json={"password": secret})
    kept = str(sql(module_store_url, "SELECT * FROM audit"))
    assert kept.count("user:password") >= len(secrets)
    for secret in secrets:
        assert secret not in kept, kept[max(0, kept.index(secret) - 600) :][:700]


def test_every_reply_that_somebody_got_is_in_it_after_a_crash(
    desk: Desk, server: JupyterServer
) -> None:
    made: list[str] = []
    key = server.key()

    def work(number: int) -> None:
        headers = {"X-API-Key": key}
        with httpx.Client(base_url=server.api, headers=headers, trust_env=False) as client:
            for turn in range(10_000):
                try:
                    name = f"worker-{number}-{turn}"
                    reply = client.post("api-keys", json={"name": name})
                    if reply.status_code == 400:
                        # Enough of them; and what is refused counts as well.
                        reply = client.delete(f"operations/{name}")
                except httpx.HTTPError:
                    return
                made.append(name)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    scratch.wait_until(lambda: len(made) > 200, "some replies", 60)
    desk.kill()
    for thread in threads:
        thread.join()
    again = desk.start_again()
    kept: set[str] = set()
    query: dict[str, Any] = {}
    while page := entries(again, **query):
        kept |= {entry["target"].partition(" ")[0] for entry in page}
        query["before"] = page[-1]["id"]
    assert set(made) <= kept
    assert len(made) > 200


def test_a_crash_right_after_a_reply(desk: Desk, server: JupyterServer) -> None:
    with server.client() as admin:
        reply = admin.post("users", json={"username": "bob", "password": "wonderland"})
    desk.kill()
    assert reply.status_code == 201
    [kept] = entries(desk.start_again(), target="bob")
    assert kept["request_id"] == reply.headers["X-Request-Id"]


def test_nothing_changes_an_entry(server: JupyterServer, module_store_url: str) -> None:
    with server.client() as admin:
        admin.post("api-keys", json={"name": "spare"})
    failure: type[Exception] = (
        sqlite3.Error if module_store_url.startswith("sqlite") else psycopg.errors.RaiseException
    )
    with pytest.raises(failure, match="append-only"):
        sql(module_store_url, "UPDATE audit SET status = 200")


def test_what_is_done_is_done_although_the_audit_can_not_be_written(
    server: JupyterServer, module_store_url: str
) -> None:
    sql(module_store_url, "ALTER TABLE audit RENAME TO elsewhere")
    try:
        with server.client() as admin:
            reply = admin.post("users", json={"username": "carol", "password": "looking glass"})
            assert reply.status_code == 201
            assert admin.delete("users/carol").status_code == 200
            assert admin.get("audit").status_code >= 500
    finally:
        sql(module_store_url, "ALTER TABLE elsewhere RENAME TO audit")
    found = [line.partition("Audit, only here: ")[2] for line in server.log.splitlines()]
    lines = [json.loads(line) for line in found if line]
    assert [(line["action"], line["status"]) for line in lines] == [
        ("user:create", 201),
        ("user:delete", 200),
    ]
    assert "looking glass" not in server.log
