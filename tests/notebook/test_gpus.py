"""GPUs in a real kernel, on simulated GPUs: the widget, and the worked example."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat as untyped_nbformat
import pytest
from nbclient import NotebookClient

from jupyter_ext.client import Client
from jupyter_ext.client.events import Frame
from jupyter_ext.client.things import Thing
from jupyter_ext.notebook import GpusPanel
from jupyter_ext.notebook.gpu_state import GpuState

from ..client.speaker import Speaker
from ..engines import gpus, images, jupyter
from ..engines.dockerd import Dockerd
from ..engines.gpus import Card, Cards
from ..engines.jupyter import JupyterServer
from ..engines.scratch import wait_until

nbformat: Any = untyped_nbformat

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "02-gpus.ipynb"
SMALL, LARGE = "GPU-0000-small", "GPU-0001-large"
GPU: dict[str, Any] = {
    "gid": 1,
    "model": "NVIDIA L4",
    "uuid": SMALL,
    "memory": 24 * gpus.GIB,
    "mode": "exclusive",
    "slots": 1,
    "free": 1,
    "present": True,
    "holders": [],
    "utilization": 40,
    "memory_used": gpus.GIB,
    "temperature": None,
    "power": None,
}


@pytest.fixture(scope="module")
def cards(tmp_path_factory: pytest.TempPathFactory) -> Cards:
    small = Card(SMALL, "NVIDIA L4", 24 * gpus.GIB, utilization=40)
    return Cards(tmp_path_factory.mktemp("nvml"), [small, Card(LARGE)])


@pytest.fixture(scope="module")
def gpu_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dockerd]:
    hooks = gpus.hook_folder(tmp_path_factory.mktemp("toolkit"))
    with Dockerd(programs=hooks) as engine:
        images.load_busybox(engine)
        yield engine


@pytest.fixture(scope="module")
def one_server(gpu_engine: Dockerd, cards: Cards) -> Iterator[JupyterServer]:
    with jupyter.jupyter_server(docker_host=gpu_engine.url, environ=cards.environ) as server:
        with server.client() as client:
            wait_until(lambda: client.get("gpus").json()["total"] == 2, "the GPUs")
        yield server


@pytest.fixture
def gpu_server(one_server: JupyterServer, gpu_engine: Dockerd) -> Iterator[JupyterServer]:
    """The server with all GPUs free, before and after."""
    yield one_server
    gpu_engine.clean()
    with one_server.client() as client:
        wait_until(
            lambda: not any(gpu["holders"] for gpu in client.get("gpus").json()["gpus"]),
            "the GPUs to be free",
        )


def execute(server: JupyterServer, notebook: Any) -> list[Any]:
    client = NotebookClient(
        notebook, timeout=90, kernel_name="python3", resources={"metadata": {"path": server.folder}}
    )
    client.execute(env=server.environ)
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name == "jupyter_ext gpus"]


def look(panel: Any, view: str, *, seen: bool) -> None:
    """Say what a browser's view says."""
    panel._handle_custom_msg({"view": view, "seen": seen}, [])


@pytest.mark.docker
def test_the_worked_example(gpu_server: JupyterServer) -> None:
    cells = execute(gpu_server, nbformat.read(NOTEBOOK, as_version=4))
    outputs = "\n".join(json.dumps(cell.outputs) for cell in cells)
    for said in (
        "NVIDIA A100-SXM4-80GB",
        "All GPUs are free.",
        "Nothing of yours waits; 0 wait in all.",
        "gpu-example is running",
        "admin.gpu-example",
        f"only this one inside: {SMALL}",
        "application/vnd.jupyter.widget-view+json",
        "/opt/model",
        "Saved as jupyter-ext/admin/gpu-example-image:latest",
        "trained for three days",
        "GPUs: void",
    ):
        assert said in outputs, said
    assert f"only this one inside: {SMALL} {LARGE}" not in outputs
    with Client(gpu_server.url, gpu_server.key("example")) as client:
        assert list(client.containers.list()) == []
        assert [tag for i in client.images.list() for tag in i.tags] == ["busybox:latest"]
        assert [gpu.holders for gpu in client.gpus.list()] == [[], []]


@pytest.mark.docker
def test_the_widget_in_a_kernel(gpu_server: JupyterServer) -> None:
    cells = ["%load_ext jupyter_ext\npanel = GpusPanel()\npanel"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    [cell] = execute(gpu_server, notebook)
    [output] = cell.outputs
    assert "application/vnd.jupyter.widget-view+json" in output.data
    assert "NVIDIA L4" in output.data["text/plain"]
    assert "<td" in output.data["text/html"]


@pytest.mark.docker
def test_it_streams_only_while_somebody_sees_it(gpu_server: JupyterServer, cards: Cards) -> None:
    token = gpu_server.home / "unused"
    with Client(gpu_server.url, gpu_server.key("panel"), token_file=token) as client:
        panel = GpusPanel(client)
        assert not panel.streaming
        assert threads() == []
        [first, second] = panel.shown["gpus"]
        assert (first["model"], second["state"]) == ("NVIDIA L4", "free")

        look(panel, "one", seen=True)
        look(panel, "two", seen=True)
        assert len(threads()) == 1
        wait_until(lambda: len(panel.shown["gpus"][0]["past"]) >= 2, "its past")
        cards.change(0, utilization=77)
        wait_until(lambda: panel.shown["gpus"][0]["busy"] == "77 %", "the use of now")
        made = client.containers.create(name="held", image="busybox", command="sleep 600", gid=1)
        wait_until(lambda: panel.shown["gpus"][0]["state"] == "taken", "the holder")
        assert panel.shown["gpus"][0]["holders"][0].startswith("admin.held, ")
        client.containers.delete(made.id, force=True)

        look(panel, "one", seen=False)
        assert panel.streaming
        look(panel, "two", seen=False)
        assert not panel.streaming
        assert threads() == []
        look(panel, "one", seen=True)
        wait_until(lambda: panel.shown["gpus"][0]["state"] == "free", "what happened meanwhile")
        panel.close()
        assert threads() == []
        # A view that is late to hear of it starts nothing.
        look(panel, "one", seen=True)
        assert threads() == []
        assert client.gpus.waiting() == 0  # the client is its owner's to close


def test_the_past_is_that_of_ten_minutes() -> None:
    state = GpuState()
    state.begin("gpus", Thing({"gpus": [GPU], "waiting": 2}))
    assert state.apply(Frame("gpus", Thing({"gpus": [{**GPU, "utilization": 50}], "waiting": 1})))
    assert not state.apply(Frame("containers", Thing({})))
    assert state.waiting == 1
    assert [use for _, use, _ in state.past[1]] == [40, 50]
    long_ago = {"at": "2026-01-01T00:00:00+00:00", "utilization": 1, "memory_used": 1}
    state.remember(Thing({**GPU, "history": [long_ago]}))
    assert state.past[1] == []


def test_why_there_is_nothing_is_said(speaker: Speaker, client: Client) -> None:
    panel = GpusPanel(client)
    assert "No /api/v1/gpus" in panel.shown["trouble"]
    assert "No /api/v1/gpus" in panel._repr_mimebundle_()[0]["text/plain"]
    panel.close()
    speaker.says("GET /api/v1/gpus", {"gpus": [], "total": 0, "waiting": 0})
    empty = GpusPanel(client)
    assert empty.shown["trouble"] == ""
    assert "no GPUs" in empty.shown["none"]
    empty.close()


def test_what_has_a_name_from_elsewhere_is_cleaned(speaker: Speaker, client: Client) -> None:
    holder = {"since": "2026-01-01T00:00:00+00:00", "mine": False}
    gpu = {**GPU, "model": "L4\x1b[2J", "holders": [holder], "free": 0}
    speaker.says("GET /api/v1/gpus", {"gpus": [gpu], "total": 1, "waiting": 3})
    panel = GpusPanel(client)
    [shown] = panel.shown["gpus"]
    assert "\x1b" not in shown["model"]
    # Whose it is, is told only by who knows it.
    assert shown["holders"][0].startswith("somebody, ")
    assert panel.shown["waiting"] == 3
    panel.close()
