"""The real code-server, on a machine that has it: started, opened, and closed to everybody else."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from urllib.parse import urlsplit

import httpx

from jupyter_ext.services.settings import ServiceSettings

from ..api.conftest import UNLIMITED
from ..engines import require
from ..engines.jupyter import JupyterServer
from ..web.visitor import Visitor
from .test_over_http import act


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
