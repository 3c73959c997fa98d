"""The notebook image, from its build to a shell, a notebook and TensorBoard in its containers."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import paramiko
import pytest

from ..engines import jupyter, require
from ..engines.dockerd import Dockerd, EngineMissing
from ..engines.jupyter import JupyterServer
from ..engines.notebook import BASE, NOTEBOOK, notebook_engine
from ..engines.scratch import wait_until

# The first run ever makes a Debian and downloads what the image has.
pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]

UID, GID = 5431, 5432
STOP_TIMEOUT = 10
VARIABLE = "JUPYTER_EXT_PASSWORD"
Json = dict[str, Any]


class Person:
    """Somebody with a login of the dialect `matrix`."""

    def __init__(self, server: JupyterServer, username: str) -> None:
        self.http = httpx.Client(base_url=server.url, trust_env=False, timeout=60)
        who = {"username": username, "password": "114514-114514", "email": f"{username}@x.org"}
        assert self.http.post("api/register", json=who).status_code == 200

    def __call__(self, method: str, path: str, body: Any = None) -> Json:
        reply = self.http.request(method, path, json=body)
        assert reply.status_code == 200, reply.text
        found: Json = reply.json()
        assert found["status"] == 0, found
        return found


@pytest.fixture(scope="module")
def engine() -> Iterator[Dockerd]:
    try:
        with notebook_engine() as running:
            yield running
    except EngineMissing as why:
        require.missing("docker", str(why))


@pytest.fixture(scope="module")
def server(engine: Dockerd) -> Iterator[JupyterServer]:
    config = {
        "JupyterExt": {"registration": "open"},
        "ContainerDefaults": {"notebook_base": BASE},
    }
    with jupyter.jupyter_server(docker_host=engine.url, config=config) as running:
        # An ordinary user's folder must be passable for who is not root.
        for each in (running.folder, running.folder.parent):
            each.chmod(0o755)
        yield running


@pytest.fixture(scope="module")
def built(server: JupyterServer) -> str:
    """What `pig image build notebook` printed, once for all."""
    done = server.run(
        server.python, "-m", "jupyter_ext.cli", "image", "build", "notebook", timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def alice(server: JupyterServer) -> Iterator[Person]:
    person = Person(server, "alice")
    with closing(person.http):
        yield person


@pytest.fixture(autouse=True)
def clean(engine: Dockerd, alice: Person) -> Iterator[None]:
    yield
    engine.clean()
    wait_until(lambda: alice("GET", "containers")["cid"] == [], "an empty list")


def make(person: Person, name: str, **more: Any) -> Json:
    body = {"iid": 1, "name": name, "cpu": 1, "mem": 2048, "gid": None, **more}
    return person("POST", "containers", body)


@contextmanager
def ssh(port: int, user: str, password: str) -> Iterator[paramiko.SSHClient]:
    """Log in as a person with a password would."""

    def try_it() -> bool:
        try:
            client.connect(
                "127.0.0.1",
                port,
                user,
                password,
                look_for_keys=False,
                allow_agent=False,
                timeout=10,
                banner_timeout=10,
            )
        except paramiko.AuthenticationException:
            raise
        except (OSError, EOFError, paramiko.SSHException):
            return False
        return True

    with closing(paramiko.SSHClient()) as client:
        client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
        wait_until(try_it, "ssh", 60)
        yield client


def run(client: paramiko.SSHClient, command: str) -> str:
    _, out, err = client.exec_command(command, timeout=60)
    text = out.read().decode()
    assert out.channel.recv_exit_status() == 0, text + err.read().decode()
    return text.strip()


def login_shell(client: paramiko.SSHClient, command: str) -> str:
    """Type a command at a terminal, whose shell reads the profile."""
    channel = client.invoke_shell(width=500)
    channel.settimeout(20)
    channel.sendall(f"{command}; echo 'the' end; exit\n".encode())
    said = b""
    while b"the end" not in said:
        said += channel.recv(4096)
    return said.decode(errors="replace")


def host_key(client: paramiko.SSHClient) -> str:
    transport = client.get_transport()
    assert transport is not None
    return transport.get_remote_server_key().get_base64()


def answers(port: int, path: str, token: str = "") -> int:
    headers = {"Authorization": f"token {token}"} if token else {}
    url = f"http://127.0.0.1:{port}/{path}"
    try:
        return httpx.get(url, headers=headers, trust_env=False, timeout=10).status_code
    except httpx.TransportError:
        return 0


def logs(engine: Dockerd, name: str) -> str:
    """What a container printed, on both of its streams."""
    folder = json.loads(engine.docker("inspect", name))[0]["LogPath"]
    lines = [json.loads(line) for line in Path(folder).read_text().splitlines()]
    return "".join(line["log"] for line in lines)


def listed(engine: Dockerd, *more: str) -> set[str]:
    return set(engine.docker("images", "--all", "--quiet", "--no-trunc", *more).split())


def orderly(engine: Dockerd, name: str) -> None:
    """See that a container that was just stopped ended all in order and by itself."""
    said = re.findall(r"^notebook: (\w+) has ended$", logs(engine, name), re.MULTILINE)
    assert said == ["JupyterLab", "TensorBoard", "sshd", "all"], logs(engine, name)
    [found] = json.loads(engine.docker("inspect", name))
    assert found["State"]["ExitCode"] == 0


@pytest.mark.download
def test_it_is_built_from_packages(built: str) -> None:
    # Before the others, which then need no network: they find its steps in the engine's cache.
    assert re.fullmatch(rf"Built {NOTEBOOK} \(\d+ MB\)\.\n", built)


def test_from_the_build_to_ssh_and_notebooks(
    server: JupyterServer, engine: Dockerd, alice: Person, built: str
) -> None:
    assert alice("GET", "images/public")["iid"].count(1) == 1
    facts = alice("GET", "images/property/1")
    assert facts.pop("size") > 100_000_000
    assert facts == {"status": 0, "did": 1, "name": NOTEBOOK, "public": True, "user": "public"}

    made = make(alice, "lab")
    password = made["passwd"]
    with ssh(made["portssh"], "root", password) as client:
        assert run(client, "id -u; echo $HOME") == "0\n/root"
        # What users start has no password in its environment, and no list of processes shows one.
        assert VARIABLE not in run(client, "env")
        assert password not in run(client, "ps axww -o args")
        # The engine's init alone keeps what it was started with.
        holders = run(client, f"cd /proc; grep -l {password} [0-9]*/environ || true")
        assert holders in ("", "1/environ")
        assert run(client, "which jupyter tensorboard") == (
            "/opt/notebook/bin/jupyter\n/opt/notebook/bin/tensorboard"
        )
        # A login shell, whose profile would forget the image's path.
        assert "/opt/notebook/bin/python" in login_shell(client, "which python")
        key = host_key(client)
    with pytest.raises(paramiko.AuthenticationException), ssh(made["portssh"], "root", "wrong"):
        pass

    lab, board = made["portjupyter"], made["porttsb"]
    wait_until(lambda: answers(lab, "api") == 200, "JupyterLab", 60)
    assert answers(lab, "lab", password) == 200
    assert answers(lab, "api/contents", password) == 200
    assert answers(lab, "api/contents") == 403
    assert answers(lab, "api/contents", "wrong") == 403
    assert execute(lab, password, "import os; print(sorted(os.environ))").count(VARIABLE) == 0
    wait_until(lambda: answers(board, "data/environment") == 200, "TensorBoard", 60)
    assert password not in logs(engine, "alice.lab")

    began = time.monotonic()
    alice("PUT", f"containers/{made['cid']}", {"cmd": "stop"})
    assert time.monotonic() - began < STOP_TIMEOUT
    orderly(engine, "alice.lab")

    # The key is the container's: made at its first start, and the same at its second.
    alice("PUT", f"containers/{made['cid']}", {"cmd": "start"})
    with ssh(made["portssh"], "root", password) as client:
        assert host_key(client) == key


def execute(port: int, token: str, code: str, until: str = "idle") -> str:
    """Run code in a kernel of a container's JupyterLab and return what it printed.

    Parameters
    ----------
    until
        The state of the kernel that is waited for.
    """
    from websockets.sync.client import connect

    base = f"127.0.0.1:{port}/api/kernels"
    headers = {"Authorization": f"token {token}"}
    kernel = httpx.post(f"http://{base}", headers=headers, trust_env=False, timeout=30).json()["id"]
    head = {"msg_id": "1", "msg_type": "execute_request", "session": "s", "username": "u"}
    message = {
        "channel": "shell",
        "header": {**head, "version": "5.3", "date": "2026-01-01T00:00:00Z"},
        "parent_header": {},
        "metadata": {},
        "content": {"code": code, "silent": False},
    }
    printed = ""
    with connect(f"ws://{base}/{kernel}/channels", additional_headers=headers, proxy=None) as ws:
        ws.send(json.dumps(message))
        while True:
            said = json.loads(ws.recv(timeout=60))
            if said["parent_header"].get("msg_id") != "1":
                continue
            if said["msg_type"] == "stream":
                printed += said["content"]["text"]
            if said["msg_type"] == "status" and said["content"]["execution_state"] == until:
                return printed


def test_with_a_folder_of_the_host_all_runs_as_its_owner(
    server: JupyterServer, engine: Dockerd, alice: Person, built: str
) -> None:
    folder = server.folder / "alice" / "work"
    folder.mkdir(parents=True, exist_ok=True)
    for each in (folder.parent, folder):
        os.chown(each, UID, GID)
    volumes = [{"host_path": str(folder), "container_path": "/work here"}]
    made = make(alice, "mine", volumes=volumes)
    password = made["passwd"]
    with ssh(made["portssh"], "jupyter", password) as client:
        assert (
            run(client, "id -u; id -g; id -un; echo $HOME")
            == f"{UID}\n{GID}\njupyter\n/home/jupyter"
        )
        assert run(client, "ps axww -o uid=,args=").count(f"{UID} ") >= 4
        assert "0" not in run(client, "ps axww -o uid=").split()
        assert VARIABLE not in run(client, "env")
        assert password not in run(client, "ps axww -o args")
        assert "NoNewPrivs:\t1" in run(client, "cat /proc/self/status")
        assert "/work here" in login_shell(client, "pwd")
        run(client, "touch '/work here/by-ssh'")
        # What users install goes to their home.
        assert run(client, "python -c 'import site; print(site.ENABLE_USER_SITE)'") == "True"
        with closing(client.open_sftp()) as files:
            files.stat("/work here/by-ssh")
    for user, word in (("jupyter", "wrong"), ("root", password)):
        with pytest.raises(paramiko.AuthenticationException), ssh(made["portssh"], user, word):
            pass

    lab, board = made["portjupyter"], made["porttsb"]
    wait_until(lambda: answers(lab, "api") == 200, "JupyterLab", 60)
    assert answers(lab, "api/contents/by-ssh", password) == 200
    assert answers(lab, "api/contents/by-ssh") == 403
    printed = execute(lab, password, "import os; open('by-lab', 'w'); print(os.getcwd())")
    assert printed == "/work here\n"
    for name in ("by-ssh", "by-lab"):
        assert (folder / name).stat().st_uid == UID
    wait_until(lambda: answers(board, "data/environment") == 200, "TensorBoard", 60)

    alice("PUT", f"containers/{made['cid']}", {"cmd": "stop"})
    orderly(engine, "alice.mine")


@pytest.mark.slow
def test_what_dies_is_told_and_not_started_again(
    engine: Dockerd, alice: Person, built: str
) -> None:
    made = make(alice, "lab")
    with ssh(made["portssh"], "root", made["passwd"]) as client:
        run(client, "pkill -KILL -f bin/tensorboard")
        told = "TensorBoard has ended by itself (SIGKILL) and is not started again"
        wait_until(lambda: told in logs(engine, "alice.lab"), "the log", 20)
        assert run(client, "echo goes on") == "goes on"
    assert answers(made["porttsb"], "") == 0


@pytest.mark.slow
def test_sessions_and_kernels_that_are_busy_hold_no_stop_up(
    engine: Dockerd, alice: Person, built: str
) -> None:
    made = make(alice, "lab")
    with ssh(made["portssh"], "root", made["passwd"]) as client:
        wait_until(lambda: answers(made["portjupyter"], "api") == 200, "JupyterLab", 60)
        stubborn = "import time\nwhile True:\n try: time.sleep(9)\n except BaseException: pass"
        execute(made["portjupyter"], made["passwd"], stubborn, until="busy")
        # A shell that minds no signal, as a job that was left does.
        client.exec_command("trap '' HUP TERM; while true; do sleep 1; done")
        began = time.monotonic()
        alice("PUT", f"containers/{made['cid']}", {"cmd": "stop"})
        assert time.monotonic() - began < STOP_TIMEOUT
    orderly(engine, "alice.lab")


@pytest.mark.slow
def test_an_image_saved_of_it_has_neither_password_nor_host_key(
    engine: Dockerd, alice: Person, built: str
) -> None:
    made = make(alice, "lab")
    with ssh(made["portssh"], "root", made["passwd"]) as client:
        run(client, "touch /root/mine")
        key = host_key(client)
    iid = alice("POST", "images", {"cid": made["cid"], "name": "mine"})["iid"]
    name = alice("GET", f"images/property/{iid}")["name"]
    left = engine.docker(
        *("run", "--rm", "--entrypoint", "sh", name, "-c"),
        f"grep -rlE '{made['passwd']}|OPENSSH PRIVATE KEY' /root /etc /home /tmp /var /run || true",
        timeout=120,
    )
    assert left == ""
    other = make(alice, "other", iid=iid)
    assert other["passwd"] != made["passwd"]
    with ssh(other["portssh"], "root", other["passwd"]) as client:
        run(client, "test -e /root/mine")
        assert host_key(client) != key
    with (
        pytest.raises(paramiko.AuthenticationException),
        ssh(other["portssh"], "root", made["passwd"]),
    ):
        pass


def test_without_a_password_it_says_so_and_ends(engine: Dockerd, built: str) -> None:
    name = engine.docker("create", NOTEBOOK)
    engine.docker("start", "--attach", name, check=False)
    assert f"{VARIABLE} is not set" in logs(engine, name)
    assert json.loads(engine.docker("inspect", name))[0]["State"]["ExitCode"] == 78


def test_a_build_by_somebody_else_than_an_administrator_is_refused(
    server: JupyterServer, alice: Person
) -> None:
    reply = alice.http.post("api/v1/images/build", json={"name": "notebook"})
    assert reply.status_code == 403


def test_a_base_that_can_not_be_had_is_named(server: JupyterServer, engine: Dockerd) -> None:
    before = listed(engine)
    words = ("image", "build", "notebook", "--base", "127.0.0.1:9/nowhere:1")
    done = server.run(server.python, "-m", "jupyter_ext.cli", *words)
    assert done.returncode == 3
    assert "The image 127.0.0.1:9/nowhere:1 can't be pulled" in done.stderr
    assert listed(engine) == before


@pytest.mark.slow
def test_a_base_that_does_not_do_says_at_which_step(server: JupyterServer, engine: Dockerd) -> None:
    made = engine.docker("create", BASE, "true")
    engine.docker("commit", "--change", "ENV PATH=/nowhere", made, "no-apt:latest")
    engine.docker("rm", made)
    before = listed(engine)
    words = ("image", "build", "notebook", "--base", "no-apt:latest")
    done = server.run(server.python, "-m", "jupyter_ext.cli", *words)
    assert done.returncode == 1
    assert re.search(r"it failed at step 4 of \d+ \(RUN apt-get update", done.stderr), done.stderr
    assert "apt-get: not found" in done.stderr
    assert listed(engine) == before
    assert engine.docker("ps", "--all", "--quiet") == ""


@pytest.mark.slow
def test_a_build_that_is_cancelled_leaves_nothing(
    server: JupyterServer, engine: Dockerd, built: str
) -> None:
    former, before = listed(engine, NOTEBOOK), listed(engine)
    with server.client() as client:
        body = {"name": "notebook", "fresh": True}
        begun = client.post("images/build", json=body, headers={"Prefer": "respond-async"})
        assert begun.status_code == 202, begun.text
        one = httpx.URL(server.url).join(begun.headers["location"])

        def operation() -> Json:
            found: Json = client.get(one).json()
            return found

        wait_until(lambda: "RUN apt-get" in str(operation()["message"]), "the step", 60)
        wait_until(lambda: engine.docker("ps", "--quiet") != "", "the step's container", 20)
        assert client.delete(one).status_code == 200
        wait_until(lambda: operation()["state"] == "cancelled", "the end", 60)
    assert listed(engine, NOTEBOOK) == former
    assert listed(engine) == before
    assert engine.docker("ps", "--all", "--quiet") == ""
