"""The magics in a real kernel, against a real server and engine; and the worked example."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import nbformat as untyped_nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from websockets.sync.client import connect

from jupyter_ext.client import Client

from ..conftest import MakeServer
from ..engines.dockerd import Dockerd
from ..engines.jupyter import JupyterServer
from ..engines.kernels import Kernel, errors, texts
from ..engines.scratch import wait_until
from ..engines.stores import PostgresStore

pytestmark = pytest.mark.docker

nbformat: Any = untyped_nbformat

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
FOREVER = ["sleep", "600"]
TICK = "sh -c 'while true; do echo tick; sleep 0.1; done'"


@pytest.fixture(scope="module")
def kernel(running_server: JupyterServer) -> Iterator[Kernel]:
    made = Kernel(running_server.environ)
    assert errors(made.run("%load_ext jupyter_ext")) == []
    yield made
    made.stop()


@pytest.fixture
def box(running_server: JupyterServer) -> Iterator[str]:
    """A container that sleeps."""
    with Client(running_server.url, running_server.key("kernel")) as client:
        name = f"box-{os.urandom(3).hex()}"
        made = client.containers.create(name=name, image="busybox", command=FOREVER)
        yield name
        client.containers.delete(made.id, force=True)


def test_output_comes_as_it_is_printed_and_keeps_its_stream(
    kernel: Kernel, box: str, running_server: JupyterServer
) -> None:
    wait = "while [ ! -e /go ]; do sleep 0.1; done"
    ident = kernel.begin(f"%%container {box}\necho one\n{wait}\necho two >&2\n")
    came: list[tuple[str, str]] = []
    with Client(running_server.url, running_server.key("kernel")) as client:
        for message in kernel.messages(ident):
            if message["msg_type"] == "stream":
                came.append((message["content"]["name"], message["content"]["text"]))
                # It goes on only when its first line was seen.
                with client.containers.exec(box, ["touch", "/go"]) as run:
                    assert list(run) == []
    assert came == [("stdout", "one\n"), ("stderr", "two\n")]


def test_a_failing_cell_fails_in_one_line(kernel: Kernel, box: str) -> None:
    messages = kernel.run(f"%%container {box}\necho before\nexit 7\n")
    assert texts(messages) == "before\n"
    (error,) = errors(messages)
    assert error["traceback"] == ["Error: The command ended with exit code 7."]


def test_a_container_that_is_not_there_is_one_line(kernel: Kernel) -> None:
    (error,) = errors(kernel.run("%%container nothing-there\nls\n"))
    assert len(error["traceback"]) == 1
    assert "nothing-there" in error["traceback"][0]


def test_a_cell_reads_nothing_of_the_notebook_and_may_be_long(kernel: Kernel, box: str) -> None:
    lines = "\n".join(f"x{number}='{'ä' * 20}'" for number in range(2000))
    messages = kernel.run(f'%%container {box}\n{lines}\ncat\necho "$x1999"; exit 4\n')
    assert texts(messages).strip() == "ä" * 20
    assert errors(messages)[0]["traceback"] == ["Error: The command ended with exit code 4."]


def test_interrupting_stops_the_command(
    kernel: Kernel, box: str, running_server: JupyterServer
) -> None:
    ident = kernel.begin(f"%%container {box}\necho started\nsleep 4321\n")
    messages: list[dict[str, Any]] = []
    for message in kernel.messages(ident):
        before = texts(messages)
        messages.append(message)
        if texts(messages) == "started\n" != before:
            kernel.manager.interrupt_kernel()
    assert errors(messages)[0]["traceback"] == ["Error: Interrupted."]
    with Client(running_server.url, running_server.key("kernel")) as client:

        def processes() -> str:
            with client.containers.exec(box, ["ps"]) as run:
                return "".join(output.text for output in run)

        wait_until(lambda: "4321" not in processes(), "the command's end", pause=0.3)
    assert texts(kernel.run(f"%%container {box}\necho again\n")) == "again\n"


def test_followed_logs_end_with_an_interrupt(kernel: Kernel) -> None:
    kernel.run(f"%container run --name ticks busybox {TICK}")
    ident = kernel.begin("%container logs -f ticks")
    messages: list[dict[str, Any]] = []
    interrupted = False
    for message in kernel.messages(ident):
        messages.append(message)
        if texts(messages).count("tick") > 5 and not interrupted:
            interrupted = True
            kernel.manager.interrupt_kernel()
    assert errors(messages)[0]["traceback"] == ["Error: Interrupted."]
    assert errors(kernel.run("%container rm -f ticks")) == []


def test_the_magics_do_what_the_command_line_does(kernel: Kernel) -> None:
    for line, said in [
        ("run --name magical -e A=1 busybox sh -c 'echo printed; sleep 600'", "magical is running"),
        ("list", "magical"),
        ("show magical", "sh -c echo printed; sleep 600"),
        ("stats magical", "magical"),
        ("stop magical", "magical is exited."),
        ("start magical", "magical is running."),
        ("restart magical", "magical is running."),
        ("rm magical", "Deleted magical."),
    ]:
        messages = kernel.run(f"%container {line}")
        assert errors(messages) == []
        (shown,) = [m["content"]["data"] for m in messages if m["msg_type"] == "display_data"]
        assert said in shown["text/plain"]
        assert not [m for m in messages if m["msg_type"] == "execute_result"]


def test_exec_prints(kernel: Kernel, box: str) -> None:
    assert texts(kernel.run(f"%container exec {box} echo 'a  b'")) == "a  b\n"
    assert errors(kernel.run(f"%container exec {box} false")) != []


def test_a_kernel_of_the_server_finds_it(running_server: JupyterServer) -> None:
    """The address and the file with the key come by the environment that the server gives."""
    code = (
        "import os, jupyter_ext.client as c\n"
        "for name in ('JUPYTER_EXT_HOME',): os.environ.pop(name, None)\n"
        "print(c.find_server().url, c.Client().system.status().status)\n"
        "print(sorted(v for v in os.environ.values() if v.startswith('jx_')))"
    )
    headers = {"Authorization": f"token {running_server.token}"}
    with httpx.Client(base_url=running_server.url, headers=headers, trust_env=False) as jupyter:
        kernel = jupyter.post("api/kernels", json={"name": "python3"}, timeout=60).json()["id"]
        try:
            address = f"ws{running_server.url[4:]}api/kernels/{kernel}/channels"
            with connect(address, additional_headers=headers, proxy=None) as channels:
                printed = _execute(channels, code)
        finally:
            jupyter.delete(f"api/kernels/{kernel}")
    address, status, keys = printed.split(maxsplit=2)
    assert address == running_server.url
    assert status in ("healthy", "degraded")
    assert keys.strip() == "[]"


def _execute(channels: Any, code: str) -> str:
    content = {"code": code, "silent": False, "store_history": False, "allow_stdin": False}
    header = {"msg_id": "m1", "msg_type": "execute_request", "version": "5.3", "session": "s"}
    request = {"header": {**header, "username": ""}, "parent_header": {}, "metadata": {}}
    channels.send(json.dumps({**request, "content": content, "channel": "shell"}))
    printed = ""
    while True:
        message = json.loads(channels.recv(60))
        if message["parent_header"].get("msg_id") != "m1":
            continue
        assert message["msg_type"] != "error", message["content"]
        if message["msg_type"] == "stream":
            printed += message["content"]["text"]
        if message["content"].get("execution_state") == "idle":
            return printed


def _notebook(server: JupyterServer, cells: list[str] | None = None) -> NotebookClient:
    if cells is None:
        notebook = nbformat.read(NOTEBOOKS / "01-containers.ipynb", as_version=4)
    else:
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    return NotebookClient(
        notebook, timeout=90, kernel_name="python3", resources={"metadata": {"path": server.folder}}
    )


def _run(client: NotebookClient, environ: dict[str, str]) -> list[Any]:
    client.execute(env=environ)
    return [cell for cell in client.nb.cells if cell.cell_type == "code"]


def test_the_worked_example(running_server: JupyterServer) -> None:
    _work_through(running_server)


@pytest.mark.postgres
def test_the_worked_example_with_the_state_in_postgres(
    postgres_store: PostgresStore, make_server: MakeServer, docker_engine: Dockerd
) -> None:
    server = make_server(docker_host=docker_engine.url, config=postgres_store.config)
    _work_through(server)
    assert not (server.home / "store.db").exists()


def _work_through(server: JupyterServer) -> None:
    cells = _run(_notebook(server), server.environ)
    outputs = "\n".join(json.dumps(cell.outputs) for cell in cells)
    for said in (
        "notebook-example is running",
        "a web server is up",
        "<h1>hello, notebook</h1>",
        "exit code: 0",
        "application/vnd.jupyter.widget-view+json",
        "Deleted notebook-example.",
    ):
        assert said in outputs
    with Client(server.url, server.key("kernel")) as client:
        assert "notebook-example" not in [c.name for c in client.containers.list()]


def test_the_example_is_kept_without_outputs() -> None:
    for path in NOTEBOOKS.glob("*.ipynb"):
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
        assert all(not cell.get("outputs") for cell in notebook.cells), path.name


def test_a_failing_magic_ends_an_executed_notebook(running_server: JupyterServer) -> None:
    cells = ["%load_ext jupyter_ext", "%container show nothing-there", "1 / 0"]
    with pytest.raises(CellExecutionError, match="nothing-there"):
        _run(_notebook(running_server, cells), running_server.environ)
