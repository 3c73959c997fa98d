"""Accounts on a running server, with either database."""

from __future__ import annotations

import httpx

from jupyter_ext.store.secrets import KEY_VARIABLE

from ..conftest import MakeServer
from ..engines.stores import KEY


def test_users_come_and_go_and_survive_a_crash(make_server: MakeServer, store_url: str) -> None:
    config = {"JupyterExt": {"store_url": store_url, "admin_password": "correct horse"}}
    server = make_server(config=config, environ={KEY_VARIABLE: KEY})
    alice = {"username": "alice", "password": "wonderland", "email": "alice@example.org"}
    with server.client() as admin:
        made = admin.post("users", json=alice)
        assert made.status_code == 201, made.text
        body = made.json()
        assert (body["username"], body["role"], body["databases"]) == ("alice", "user", [])
        assert "wonderland" not in made.text
        again = admin.post("users", json=alice)
        assert (again.status_code, again.json()["error"]["code"]) == (409, "CONFLICT")
        listed = admin.get("users").json()["users"]
        assert [user["username"] for user in listed] == ["alice", "admin"]
        bad = admin.post("users", json={"username": "user-7", "password": "", "role": "The king"})
        assert bad.status_code == 400
        assert set(bad.json()["error"]["details"]) == {"username", "password", "role"}
        short = admin.put("users/alice/password", json={"password": "12345"})
        assert (short.status_code, set(short.json()["error"]["details"])) == (400, {"password"})
        assert admin.put("users/alice/password", json={"password": "looking glass"}).is_success
        key = admin.post("api-keys", json={"name": "hers", "owner": "alice"}).json()["key"]
    with httpx.Client(base_url=server.api, headers={"X-API-Key": key}, trust_env=False) as hers:
        assert hers.get("users").status_code == 403
        assert hers.delete("users/admin").status_code == 403
        assert hers.put("users/admin/password", json={"password": "x" * 8}).status_code == 404
        assert hers.put("users/alice/password", json={"password": "x" * 8}).is_success
        assert hers.get("operations").json()["operations"] == []
        assert hers.get("operations/op-none").status_code == 404
        assert hers.delete("operations/op-none").status_code == 404
    server.process.kill()
    server.process.wait()
    server = make_server(config=config, environ={KEY_VARIABLE: KEY}, home=server.home)
    with server.client() as admin:
        headers = {"X-API-Key": key}
        assert httpx.get(f"{server.api}/operations", headers=headers).is_success
        assert admin.delete("users/admin").status_code == 409
        assert admin.delete("users/alice").json() == {"username": "alice", "status": "deleted"}
        assert httpx.get(f"{server.api}/operations", headers=headers).status_code == 401
        assert admin.delete("users/alice").status_code == 404
