"""A server of a JupyterHub's user that is their own desk, and what it says at its start."""

from __future__ import annotations

import httpx
import pytest

from ..conftest import MakeServer


def test_the_hubs_user_owns_their_server(make_server: MakeServer) -> None:
    server = make_server(environ={"JUPYTERHUB_USER": "Jane.Doe"})
    headers = {"Authorization": f"token {server.token}"}
    made = httpx.post(f"{server.api}/api-keys", headers=headers, json={"name": "x"})
    assert made.status_code == 201, made.text
    assert made.json()["owner"].startswith("jane-doe-")
    users = httpx.get(f"{server.api}/users", headers=headers).json()["users"]
    assert [user["role"] for user in users] == ["admin"]


def test_a_proxy_whose_headers_are_not_read_is_told(make_server: MakeServer) -> None:
    behind = {"JUPYTERHUB_SERVICE_PREFIX": "/user/jane/"}
    assert "c.ServerApp.trust_xheaders = True" in make_server(environ=behind).log
    config = {"ServerApp": {"trust_xheaders": True}}
    assert "trust_xheaders" not in make_server(environ=behind, config=config).log


@pytest.mark.parametrize("mode", ["open", "invite"])
def test_no_registration_beside_a_hub(make_server: MakeServer, mode: str) -> None:
    service = {"JUPYTERHUB_API_URL": "http://127.0.0.1:1/", "JUPYTERHUB_SERVICE_NAME": "desk"}
    config = {
        "JupyterExt": {"registration": mode},
        "ServerApp": {"jpserver_extensions": {"jupyter_ext": True}},
    }
    # Ready when Jupyter is: the extension is not going to be.
    server = make_server(environ=service, config=config, extension=False)
    reply = httpx.get(f"{server.api}/openapi.json", trust_env=False)
    assert reply.is_error
    assert f"can't be {mode} beside a JupyterHub" in reply.json()["error"]["message"]
