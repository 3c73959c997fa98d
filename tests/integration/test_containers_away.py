"""Engines and servers that stop, hang and come back."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ..engines.dockerd import Dockerd
from ..engines.images import load_busybox
from ..engines.jupyter import JupyterServer
from ..engines.scratch import wait_until
from .api_users import User

pytestmark = pytest.mark.docker


def test_an_engine_that_stops_and_comes_back(
    make_server: Callable[..., JupyterServer], owner_of: Callable[[JupyterServer], User]
) -> None:
    with Dockerd() as engine:
        load_busybox(engine)
        server = make_server(docker_host=engine.url)
        owner = owner_of(server)
        owner.run("web")
        engine.halt()
        wait_until(lambda: owner("GET", "/containers")["stale_since"] is not None, "staleness")
        assert owner("GET", "/containers")["total"] == 1
        assert owner("GET", "/containers/web")["stale_since"]
        assert owner("GET", "/images")["total"] == 1
        begun = time.monotonic()
        said = owner("POST", "/containers/web/stop", 503)["message"]
        assert time.monotonic() - begun < 5
        assert "systemctl start docker" in said
        engine.start()
        wait_until(lambda: owner("GET", "/containers")["stale_since"] is None, "the mirror", 15)
        assert owner("GET", "/containers/web")["status"] == "exited"
        owner("POST", "/containers/web/start")


def test_an_engine_that_hangs(
    make_server: Callable[..., JupyterServer], owner_of: Callable[[JupyterServer], User]
) -> None:
    with Dockerd() as engine:
        load_busybox(engine)
        server = make_server(docker_host=engine.url)
        owner = owner_of(server)
        owner.run("web")
        with engine.hanging():
            for method, path in (("POST", "/containers/web/stop"), ("DELETE", "/containers/web")):
                begun = time.monotonic()
                owner(method, path, 503)
                assert time.monotonic() - begun < 5
            # From memory: nobody else can tell now.
            assert owner("GET", "/containers")["total"] == 1
        wait_until(lambda: owner("GET", "/containers")["stale_since"] is None, "the mirror", 15)
        wait_until(
            lambda: owner.http.delete("/containers/web").status_code in (200, 404), "its end", 20
        )


def test_no_engine_at_all(
    make_server: Callable[..., JupyterServer], owner_of: Callable[[JupyterServer], User]
) -> None:
    server = make_server()
    owner = owner_of(server)
    for method, path, body in (
        ("GET", "/containers", None),
        ("GET", "/containers/1", None),
        ("POST", "/containers", {"name": "web", "image": "busybox"}),
        ("GET", "/images", None),
        ("POST", "/images/pull", {"name": "busybox"}),
    ):
        said = owner(method, path, 503, json=body)
        assert "Docker" in said["message"]


def test_a_server_that_starts_again_knows_everything(
    make_server: Callable[..., JupyterServer],
    owner_of: Callable[[JupyterServer], User],
    tmp_path: Path,
) -> None:
    with Dockerd() as engine:
        load_busybox(engine)
        home = tmp_path / "home"
        first = make_server(docker_host=engine.url, home=home)
        made = owner_of(first).run("web", ports={"80/tcp": None})
        first.process.kill()
        first.process.wait()
        engine.docker("run", "--detach", "--name", "meanwhile", "busybox", "sleep", "1000")
        second = make_server(docker_host=engine.url, home=home)
        owner = owner_of(second)
        wait_until(lambda: owner("GET", "/containers")["total"] == 2, "both containers")
        again = owner("GET", f"/containers/{made['cid']}")
        assert (again["id"], again["name"], again["ports"]) == (made["id"], "web", made["ports"])
