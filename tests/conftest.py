"""What every test may ask for: the real engines, and a real server with the extension.

Engines are the session's, since they are slow to start; a test makes its own containers, images,
tables and tags on them. Whoever stops or breaks an engine makes one of its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import httpx
import pytest

from .engines import images, jupyter, require
from .engines import registry as registries
from .engines.dockerd import Dockerd, EngineMissing

pytest_plugins = ["pytest_jupyter.jupyter_server", "tests.engines.stores", "tests.sharing"]

MakeServer = Callable[..., jupyter.JupyterServer]
ENGINE = pytest.StashKey[Dockerd]()


# A login takes a processor for a while, and a busy machine has few: five seconds are too few there.
httpx._config.DEFAULT_TIMEOUT_CONFIG.read = 30.0


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Write a failure down at once, where somebody wants to read it even if the run breaks off."""
    path = os.environ.get("JUPYTER_EXT_FAILURES")
    # With several processes, the one that hears of all of them writes.
    if path and report.failed and "PYTEST_XDIST_WORKER" not in os.environ:
        last = report.longreprtext.strip().splitlines()[-1:] or [""]
        with Path(path).open("a") as file:
            file.write(f"{report.nodeid} ({report.when}): {last[0][:300]}\n")


@pytest.fixture(autouse=True)
def scratch_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep what runs inside the tests' own process away from the user's state and engine."""
    home = tmp_path / "jupyter_ext_home"
    monkeypatch.setenv("JUPYTER_EXT_HOME", str(home))
    for variable in ("DOCKER_HOST", "DOCKER_CONTEXT", "JUPYTER_EXT_URL", "JUPYTER_EXT_TOKEN_FILE"):
        monkeypatch.delenv(variable, raising=False)
    return home


@pytest.fixture(scope="session")
def docker_engine(request: pytest.FixtureRequest) -> Iterator[Dockerd]:
    """A Docker engine of the tests' own, with ``busybox:latest``."""
    with ExitStack() as stack:
        try:
            engine = stack.enter_context(Dockerd())
            images.load_busybox(engine)
        except EngineMissing as why:
            require.missing("docker", str(why))
        request.session.stash[ENGINE] = engine
        yield engine


@pytest.fixture(scope="session")
def busybox_image(docker_engine: Dockerd) -> str:
    """The name of an image of 2 MB that has a shell, ``httpd`` and ``nc``."""
    return "busybox:latest"


@pytest.fixture(scope="session")
def registry() -> Iterator[registries.Registry]:
    """An empty image registry."""
    with registries.registry() as running:
        yield running


@pytest.fixture(scope="session")
def running_server(docker_engine: Dockerd) -> Iterator[jupyter.JupyterServer]:
    """A server with the extension on the session's engine."""
    # The tests' own registries listen there, and ordinary users pull from them.
    config = {"JupyterExt": {"allowed_addresses": ["127.0.0.1"]}}
    with jupyter.jupyter_server(docker_host=docker_engine.url, config=config) as server:
        yield server


@pytest.fixture
def make_server() -> Iterator[MakeServer]:
    """Start servers of the test's own: ``make_server(docker_host=…, lab=True, config={…})``."""
    with ExitStack() as stack:

        def make(**options: object) -> jupyter.JupyterServer:
            server: AbstractContextManager[jupyter.JupyterServer]
            server = jupyter.jupyter_server(**options)  # type: ignore[arg-type]
            return stack.enter_context(server)

        yield make
