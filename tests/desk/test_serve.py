"""`jupyter ext serve`: the desk alone, without kernels, terminals and files."""

from __future__ import annotations

import subprocess
import sys

import httpx
import pytest

from ..engines import jupyter, scratch


@pytest.fixture(scope="module")
def desk(tmp_path_factory, docker_engine):
    folder = tmp_path_factory.mktemp("serve")
    environ = jupyter.environment(folder)
    environ |= {"DOCKER_HOST": docker_engine.url, "JUPYTER_TOKEN": "t"}
    port = scratch.free_port()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "jupyter_ext.cli",
                "serve",
                f"--port={port}",
                "--allow-root",
                "--ServerApp.base_url=/desk/",
            ],
            cwd=folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    url = f"http://127.0.0.1:{port}/desk/"

    def ready():
        assert process.poll() is None, (folder / "log").read_text()
        try:
            return httpx.get(url + "api/v1/openapi.json", trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    try:
        scratch.wait_until(ready, "the desk's first answer", 60)
        headers = {"Authorization": "token t"}
        with httpx.Client(base_url=url, headers=headers, trust_env=False) as client:
            yield client
    finally:
        scratch.stop(process)


def test_it_serves_the_whole_api(desk):
    assert desk.get("api/v1/status").json()["services"]["docker"] == "running"
    assert desk.get("api/v1/containers").json()["code"] == 200


@pytest.mark.parametrize(
    "path", ["api/kernels", "api/contents", "api/terminals", "api/sessions", "files/log", "lab"]
)
def test_it_runs_and_reads_nothing_for_anybody(desk, path):
    assert desk.get(path).status_code == 404
    assert desk.post(path, json={}).status_code in (403, 404, 405)


def test_its_first_page_is_the_apis(desk):
    reply = desk.get("", follow_redirects=True)
    assert reply.status_code == 200
    assert "jupyter_ext API" in reply.text
