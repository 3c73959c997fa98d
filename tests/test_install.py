"""The wheel, as somebody installs it: into an empty environment of a machine without Node."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from .engines import jupyter

# pip downloads JupyterLab where nothing is cached yet.
pytestmark = [pytest.mark.download, pytest.mark.timeout(900)]

EXTENSION = "share/jupyter/labextensions/jupyter-ext"


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the source distribution."""
    if not (jupyter.PANEL / "package.json").exists():
        pytest.fail("the panel is not built: scripts/panel.sh build", pytrace=False)
    folder = tmp_path_factory.mktemp("dist")
    done = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, jupyter.ROOT],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    (found,) = dist.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def prefix(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment that was empty, with the wheel and nothing else of ours."""
    folder = tmp_path_factory.mktemp("installed") / "venv"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    done = subprocess.run(
        [folder / "bin" / "python", "-m", "pip", "install", "-q", wheel],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def server(prefix: Path) -> Iterator[jupyter.JupyterServer]:
    with jupyter.jupyter_server(prefix=prefix, lab=True) as running:
        yield running


def test_wheel_has_the_panel_once_and_nothing_of_its_workshop(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()

    assert len([name for name in names if name.endswith(f"{EXTENSION}/package.json")]) == 1
    assert any(name.endswith(f"{EXTENSION}/install.json") for name in names)
    assert any(name.endswith("jupyter_server_config.d/jupyter_ext.json") for name in names)
    assert any("jupyter_ext/store/migrations/versions/0001" in name for name in names)
    for file in ("Dockerfile", "start.py", "profile.sh"):
        assert f"jupyter_ext/containers/notebook_image/{file}" in names
    for unwanted in ("node_modules", "tests/", "labextension/src", "__pycache__"):
        assert not [name for name in names if unwanted in name]


def test_source_distribution_installs_without_node_too(dist: Path) -> None:
    (file,) = dist.glob("*.tar.gz")
    with tarfile.open(file) as tar:
        names = [name.partition("/")[2] for name in tar.getnames()]

    assert {"LICENSE", "README.md", "labextension/package.json", "pyproject.toml"} <= set(names)
    assert "jupyter_ext/labextension/package.json" in names
    assert not [name for name in names if "node_modules" in name]


def test_extension_answers_and_the_panel_is_served(server: jupyter.JupyterServer) -> None:
    headers = {"Authorization": f"token {server.token}"}
    status = httpx.get(server.api + "/status", headers=headers, trust_env=False)
    assert status.status_code == 200
    assert status.json()["version"]

    folder = Path(server.python).parents[1] / EXTENSION
    built = json.loads((folder / "package.json").read_text())["jupyterlab"]["_build"]
    entry = httpx.get(
        f"{server.url}lab/extensions/jupyter-ext/{built['load']}", headers=headers, trust_env=False
    )
    assert entry.status_code == 200
    assert "jupyter-ext" in entry.text
    page = httpx.get(server.api + "/docs", headers=headers, trust_env=False)
    assert page.status_code == 200


def test_jupyterlab_lists_the_panel_as_enabled(prefix: Path, server: jupyter.JupyterServer) -> None:
    listed = server.run(str(prefix / "bin" / "jupyter"), "labextension", "list")
    lines = [line for line in (listed.stdout + listed.stderr).splitlines() if "jupyter-ext" in line]
    assert lines
    assert "enabled" in lines[0]
    assert "OK" in lines[0]


def test_commands_are_there(prefix: Path, server: jupyter.JupyterServer) -> None:
    for name in ("pig", "jupyter-ext"):
        done = server.run(str(prefix / "bin" / name), "status", "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["status"] == "degraded"


def test_environment_has_no_node(server: jupyter.JupyterServer) -> None:
    found = server.run("sh", "-c", "command -v node || command -v npm || echo none")
    assert found.stdout.strip() == "none"
