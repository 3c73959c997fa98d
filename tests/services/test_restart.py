"""The server stops itself, and comes back in the same process."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from websockets.sync.client import connect

from jupyter_ext.desk.comeback import VARIABLE, obstacle

from ..api.conftest import UNLIMITED
from ..engines.jupyter import JupyterServer
from ..engines.scratch import wait_until
from .test_over_http import EDITOR, lives

MakeServer = Callable[..., JupyterServer]


def config(**more: Any) -> dict[str, dict[str, Any]]:
    return {
        "JupyterExt": {"rate_limits": UNLIMITED},
        "ServiceSettings": {"vscode_command": EDITOR, "warning_seconds": 1},
        **more,
    }


def browser(server: JupyterServer) -> httpx.Client:
    """Return a client with the token that the server has made up."""
    return httpx.Client(
        base_url=server.url,
        headers={"Authorization": f"token {server.token}"},
        trust_env=False,
        timeout=60,
    )


def services(client: httpx.Client) -> dict[str, Any]:
    found = client.get("api/v1/services").raise_for_status().json()["services"]
    return {each["name"]: each for each in found}


def restart(client: httpx.Client) -> dict[str, Any]:
    """Restart it and wait until it is back; returns what it answered."""
    time.sleep(1.1)  # uptime counts whole seconds
    before = services(client)["jupyter"]["uptime"]
    reply = client.post("api/v1/services/jupyter/restart")
    assert reply.status_code == 200, reply.text

    def back() -> bool:
        try:
            found = services(client)["jupyter"]
        except httpx.HTTPError:
            return False
        return bool(found["status"] == "running" and found["uptime"] < before + 1)

    wait_until(back, "the server is back", 40)
    answered: dict[str, Any] = reply.json()
    return answered


def test_it_comes_back_with_the_port_and_token_that_it_had_chosen(make_server: MakeServer) -> None:
    other = make_server(config=config())
    settings = config(ServerApp={"port": other.port, "port_retries": 50})
    server = make_server(config=settings, token=None, lab=True)
    announced = server.home / "server.json"
    wait_until(announced.exists, "the server announces itself")
    url = json.loads(announced.read_text())["url"]
    assert url != other.url
    made = re.search(r"[?&]token=([0-9a-f]{48})", server.log)
    assert made is not None
    server = replace(server, url=url, token=made[1], keys={})

    with browser(server) as client:
        pid = services(client)["jupyter"]["pid"]
        assert pid == server.process.pid
        kernel = client.post("api/kernels", json={"name": "python3"}).raise_for_status().json()
        client.post("api/v1/services/vscode/start").raise_for_status()
        editor = services(client)["vscode"]["pid"]
        [process] = [
            each
            for each in psutil.Process(pid).children()
            if "ipykernel" in " ".join(each.cmdline())
        ]
        address = f"ws{url.removeprefix('http')}api/v1/ws"
        with connect(address, additional_headers=dict(client.headers), proxy=None) as socket:
            frame = {"type": "subscribe", "data": {"topic": "services"}, "id": "1"}
            socket.send(json.dumps(frame))
            restart_at = time.monotonic()
            warned = ""
            answered = client.post("api/v1/services/jupyter/restart").raise_for_status().json()
            while "restarts in" not in warned:
                warned = str(socket.recv(timeout=5))
            assert time.monotonic() - restart_at < 1
            assert "1 kernel" in warned
        assert answered["status"] == "restarting"
        wait_until(lambda: not process.is_running(), "the kernel has ended", 20)

        def back() -> bool:
            try:
                return bool(services(client)["jupyter"]["status"] == "running")
            except httpx.HTTPError:
                return False

        wait_until(back, "the server is back", 40)
        found = services(client)
        assert found["jupyter"]["pid"] == pid
        assert found["jupyter"]["port"] == httpx.URL(url).port
        assert server.process.poll() is None
        assert client.get("api/kernels").json() == []
        wait_until(lambda: services(client)["vscode"]["status"] == "running", "the editor is found")
        assert services(client)["vscode"]["pid"] == editor
        # What was handed over stays nowhere.
        kernel = client.post("api/kernels", json={"name": "python3"}).raise_for_status().json()
        assert kernel["id"]
        for each in psutil.Process(pid).children():
            assert VARIABLE not in each.environ()
            assert server.token not in "".join(each.environ().values())
        assert server.token not in " ".join(psutil.Process(pid).cmdline())

        # Once more, from the run that came back; then the end.
        restart(client)
        assert services(client)["jupyter"]["pid"] == pid
        stopped = client.post("api/v1/services/jupyter/stop")
        assert stopped.json()["status"] == "stopping"
    assert server.process.wait(30) == 0
    assert not lives(editor)
    assert not announced.exists()


HUB = {"JUPYTERHUB_USER": "ann", "JUPYTERHUB_BASE_URL": "/"}
SERVICE = {"JUPYTERHUB_SERVICE_NAME": "desk"}
UNIT = {"INVOCATION_ID": "1"}
SYSTEM = "0::/system.slice/jupyter.service\n"
OLD = "12:cpu:/\n1:name=systemd:/system.slice/jupyter.service\n"
PERSON = "0::/user.slice/user-1000.slice/user@1000.service/app.slice/lab.service\n"
SHELL = "0::/user.slice/user-1000.slice/session-2.scope\n"


@pytest.mark.parametrize(
    ("environ", "cgroup", "says"),
    [
        ({}, SHELL, None),
        (UNIT, SHELL, None),
        ({}, "", None),
        (HUB, SHELL, "/hub/home"),
        (SERVICE, SYSTEM, "systemctl restart jupyterhub"),
        (UNIT, SYSTEM, "`sudo systemctl restart jupyter.service`"),
        (UNIT, OLD, "`sudo systemctl restart jupyter.service`"),
        ({"SYSTEMD_EXEC_PID": "7"}, PERSON, "`systemctl --user restart lab.service`"),
        ({"SYSTEMD_EXEC_PID": "8"}, SYSTEM, None),
    ],
)
def test_whoever_else_starts_it_is_named(
    tmp_path: Path, environ: dict[str, str], cgroup: str, says: str | None
) -> None:
    file = tmp_path / "cgroup"
    file.write_text(cgroup)
    found = obstacle(environ, file, 7)
    assert (found is None) if says is None else (says in (found or ""))


def test_under_a_hub_it_refuses_and_names_what_restarts_it(make_server: MakeServer) -> None:
    with make_server(
        config=config(), environ=HUB | {"JUPYTERHUB_API_TOKEN": ""}
    ).client() as client:
        refused = client.post("services/jupyter/restart")
        assert refused.status_code == 409
        assert "Hub Control Panel" in refused.json()["error"]["message"]
        found = client.get("services").json()["services"]
        assert {each["name"]: each["status"] for each in found}["jupyter"] == "running"
