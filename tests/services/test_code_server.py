"""The real code-server, on a machine that has it: started, opened, and closed to everybody else."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import closing
from urllib.parse import urlsplit

import httpx
import psutil

from jupyter_ext.services.settings import ServiceSettings

from ..api.conftest import UNLIMITED
from ..engines import require
from ..engines.jupyter import JupyterServer
from ..engines.scratch import wait_until
from ..web.visitor import Visitor
from .test_over_http import act, lives, service


def test_code_server_opens_with_its_cookie_and_not_without(
    make_server: Callable[..., JupyterServer],
) -> None:
    require.program("code-server", "code-server")
    command = ServiceSettings().vscode_command
    assert command[0] == "code-server"
    server = make_server(config={"JupyterExt": {"rate_limits": UNLIMITED}})
    with server.client() as client:
        port = act(client, "vscode", "start")["port"]
        direct = httpx.get(f"http://127.0.0.1:{port}/", trust_env=False)
        assert direct.status_code == 302
        assert "login" in direct.headers["location"]
        link = client.post("services/vscode/open", json={}).raise_for_status().json()["url"]
        page = f"http://{urlsplit(link).netloc}/"
        with closing(Visitor()) as visitor:
            assert visitor.follow(link).status_code == 303
            first = visitor(page)
            # It leads to the folder that it was started with.
            assert first.status_code == 302
            shown = visitor(page.rstrip("/") + "/" + first.headers["location"].lstrip("./"))
            assert shown.status_code == 200
            assert "vscode-workbench-web-configuration" in shown.text
        act(client, "vscode", "stop")


def test_code_server_that_is_killed_leaves_nothing_and_comes_back_at_its_port(
    make_server: Callable[..., JupyterServer],
) -> None:
    require.program("code-server", "code-server")
    server = make_server(config={"JupyterExt": {"rate_limits": UNLIMITED}})
    with server.client() as client:
        first = act(client, "vscode", "start")
        (listener,) = psutil.Process(first["pid"]).children()
        os.kill(first["pid"], signal.SIGKILL)
        wait_until(
            lambda: service(client, "vscode")["pid"] not in (first["pid"], None), "another", 30
        )
        assert not lives(listener.pid)
        wait_until(lambda: service(client, "vscode")["status"] == "running", "it runs", 30)
        again = service(client, "vscode")
        assert again["port"] == first["port"]
        health = httpx.get(f"http://127.0.0.1:{again['port']}/healthz", trust_env=False)
        assert health.status_code == 200
        act(client, "vscode", "stop")
