"""The server as a unit of a real systemd, beside others; its databases are left alone."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from ..api.conftest import UNLIMITED
from ..engines import jupyter
from ..engines.jupyter import JupyterServer
from ..engines.scratch import scratch_folder, wait_until
from ..engines.systemd import Systemd, systemd
from ..engines.unix_users import UnixUser, unix_users
from .test_over_http import EDITOR, act, lines, service

LAB = "lab.service"

UNITS = {
    "demo": "[Service]\nExecStart=/bin/sh -c 'echo the demo begins; exec sleep 1000'\n",
    # Each fails in a way of its own: some time later, at its start, and again and again.
    "broken": "[Service]\nExecStart=/bin/sh -c 'echo no disk; exit 3'\n",
    "refused": "[Service]\nType=oneshot\nExecStart=/bin/false\n",
    "again": "[Service]\nExecStart=/bin/false\nRestart=always\nRestartSec=1000\n",
}

CONFIG: dict[str, dict[str, Any]] = {
    "JupyterExt": {"rate_limits": UNLIMITED},
    "ServiceSettings": {
        "systemd_units": [*UNITS, "nothing.service"],
        "vscode_command": EDITOR,
        "warning_seconds": 0,
    },
}


@pytest.fixture(scope="module")
def manager() -> Iterator[Systemd]:
    with systemd() as running:
        for name, text in UNITS.items():
            running.write(f"{name}.service", text)
        yield running


@pytest.fixture(scope="module")
def server(manager: Systemd) -> Iterator[JupyterServer]:
    launch = partial(manager.launch, LAB)
    with jupyter.jupyter_server(config=CONFIG, launch=launch) as running:
        running.within = manager.within()
        try:
            yield running
        finally:
            print(running.log[-4000:])
            # Its databases go on without it, and would write into the folder that is taken away.
            manager.end()


@pytest.fixture
def admin(server: JupyterServer) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


def answers(client: httpx.Client) -> bool:
    try:
        return client.get("services").status_code == 200
    except httpx.TransportError:
        return False


def runs(client: httpx.Client, name: str) -> bool:
    return answers(client) and service(client, name)["status"] == "running"


def main_pid(manager: Systemd, unit: str) -> int:
    return int(manager.show(unit, "MainPID"))


def group(manager: Systemd, pid: int) -> str:
    return manager.run("sh", "-c", f"sed -n s/^0:://p /proc/{pid}/cgroup").strip()


def lives(manager: Systemd, pid: int) -> bool:
    return manager.tried("test", "-d", f"/proc/{pid}").returncode == 0


def test_unit_is_started_stopped_and_read(manager: Systemd, admin: httpx.Client) -> None:
    assert service(admin, "demo")["status"] == "stopped"
    started = act(admin, "demo", "start")
    assert started["status"] == "running"
    assert started["kind"] == "systemd"
    pid = started["pid"]
    assert pid == main_pid(manager, "demo")
    assert started["uptime"] < 60
    assert started["memory_bytes"] > 0
    assert act(admin, "demo", "start")["pid"] == pid
    assert any(line.endswith("the demo begins") for line in lines(admin, "demo"))
    assert lines(admin, "demo", since="2999-01-01T00:00:00Z") == []

    again = act(admin, "demo", "restart")
    assert again["pid"] not in (pid, None)
    assert again["pid"] == main_pid(manager, "demo")
    said = [line for line in lines(admin, "demo") if line.endswith("the demo begins")]
    assert len(said) == 2
    [last] = lines(admin, "demo", tail=1)
    assert last == said[-1]

    stopped = act(admin, "demo", "stop")
    assert stopped["status"] == "stopped"
    assert stopped["pid"] is None
    assert manager.show("demo", "ActiveState") == "inactive"
    assert act(admin, "demo", "stop")["status"] == "stopped"


def test_what_others_do_to_it_is_seen(manager: Systemd, admin: httpx.Client) -> None:
    manager.run("systemctl", "start", "demo")
    wait_until(lambda: service(admin, "demo")["status"] == "running", "it is seen to run", 5, 0.2)
    manager.run("systemctl", "stop", "demo")
    wait_until(lambda: service(admin, "demo")["status"] == "stopped", "and to be stopped", 5, 0.2)


def test_failed_units_say_why(admin: httpx.Client) -> None:
    act(admin, "broken", "start")
    wait_until(lambda: service(admin, "broken")["status"] == "failed", "it has failed", 5, 0.2)
    found = service(admin, "broken")
    assert "exit-code" in found["problem"]
    assert "pig logs broken" in found["problem"]
    assert any(line.endswith("no disk") for line in lines(admin, "broken"))

    refused = admin.post("services/refused/start")
    assert refused.status_code == 503
    assert "systemctl status refused.service" in refused.json()["error"]["message"]
    assert service(admin, "refused")["status"] == "failed"

    act(admin, "again", "start")
    wait_until(lambda: service(admin, "again")["status"] == "starting", "it is tried again", 5, 0.2)
    assert "(exit-code), and is started again" in service(admin, "again")["problem"]
    assert act(admin, "again", "stop")["status"] == "stopped"


def test_unit_that_is_not_there(admin: httpx.Client) -> None:
    found = service(admin, "nothing")
    assert found["status"] == "not_installed"
    assert "systemd knows no unit nothing.service" in found["problem"]
    refused = admin.post("services/nothing/start")
    assert refused.status_code == 503
    assert "nothing.service not found" in refused.json()["error"]["message"]


def test_users_see_units_and_neither_act_nor_read_logs(
    server: JupyterServer, manager: Systemd, admin: httpx.Client
) -> None:
    admin.post("users", json={"username": "ulla", "password": "a secret one"}).raise_for_status()
    with server.client(headers={"X-API-Key": server.user_key("ulla")}) as ulla:
        assert service(ulla, "demo")["status"] == "stopped"
        for action in ("start", "stop", "restart"):
            assert ulla.post(f"services/demo/{action}").status_code == 403
        assert ulla.get("services/demo/logs").status_code == 403
    assert manager.show("demo", "ActiveState") == "inactive"


def test_units_by_the_command_line(server: JupyterServer, manager: Systemd) -> None:
    server.pig("start", "demo")
    assert manager.show("demo", "ActiveState") == "active"
    [row] = [row for row in server.pig("status", "services").splitlines() if "demo" in row]
    assert "running" in row
    assert "the demo begins" in server.pig("logs", "demo")
    server.pig("restart", "demo")
    server.pig("stop", "demo")
    assert manager.show("demo", "ActiveState") == "inactive"


def test_server_refuses_a_restart_and_names_what_does_it(
    server: JupyterServer, manager: Systemd, admin: httpx.Client
) -> None:
    pid = service(admin, "jupyter")["pid"]
    assert pid == main_pid(manager, LAB)
    editor = act(admin, "vscode", "start")["pid"]
    refused = admin.post("services/jupyter/restart")
    assert refused.status_code == 409
    named = re.search("`sudo (.+)`", refused.json()["error"]["message"])
    assert named is not None
    assert named[1] == f"systemctl restart {LAB}"

    manager.run(*named[1].split())
    wait_until(lambda: answers(admin), "the server is back", 60, 0.2)
    assert service(admin, "jupyter")["pid"] == main_pid(manager, LAB) != pid
    # It belongs to the server's unit, and what ran comes back with the server.
    assert not lives(manager, editor)
    wait_until(lambda: service(admin, "vscode")["status"] == "running", "the editor", 20, 0.2)
    act(admin, "vscode", "stop")


def test_databases_outlive_their_server(
    server: JupyterServer, manager: Systemd, admin: httpx.Client
) -> None:
    admin.post("databases", json={"name": "kept"}).raise_for_status()
    pid = service(admin, "postgres")["pid"]
    assert re.fullmatch(r"/system\.slice/run-\w+\.scope", group(manager, pid))

    seen = partial(runs, admin, "postgres")
    manager.run("systemctl", "restart", LAB)
    wait_until(seen, "the databases are found again", 60, 0.2)
    assert service(admin, "postgres")["pid"] == pid
    manager.run("systemctl", "kill", "--kill-who=all", "--signal=KILL", LAB)
    wait_until(lambda: manager.show(LAB, "ActiveState") == "failed", "the server is killed", 10)
    assert lives(manager, pid)
    manager.run("systemctl", "start", LAB)
    wait_until(seen, "the databases are found again", 60, 0.2)
    manager.run("systemctl", "stop", LAB)
    assert lives(manager, pid)
    manager.run("systemctl", "start", LAB)
    wait_until(seen, "the databases are found again", 60, 0.2)
    assert service(admin, "postgres")["pid"] == pid
    names = [each["name"] for each in admin.get("databases").json()["databases"]]
    assert "kept" in names

    # A restart of their own makes another scope, and the old one goes.
    old = group(manager, pid)
    again = act(admin, "postgres", "restart")["pid"]
    assert again != pid
    assert group(manager, again) != old
    assert manager.show(old.rpartition("/")[2], "LoadState") == "not-found"


def test_server_that_is_stopped_has_ended_well(
    server: JupyterServer, manager: Systemd, admin: httpx.Client
) -> None:
    assert act(admin, "jupyter", "stop")["status"] == "stopping"
    wait_until(
        lambda: manager.show(LAB, "ActiveState") != "active", "the server has ended", 30, 0.2
    )
    wait_until(lambda: manager.show(LAB, "MainPID") == "0", "and its unit", 30, 0.2)
    assert manager.show(LAB, "ActiveState") == "inactive"
    assert manager.show(LAB, "Result") == "success"

    manager.run("systemctl", "start", LAB)
    wait_until(lambda: answers(admin), "the server is back", 60, 0.2)
    manager.run("systemctl", "stop", LAB)
    assert manager.show(LAB, "Result") == "success"
    assert manager.show(LAB, "ActiveState") == "inactive"

    # As an operator may want it, the databases end with their server.
    file = Path(server.environ["JUPYTER_CONFIG_DIR"]) / "jupyter_server_config.json"
    traits = json.loads(file.read_text())
    file.write_text(json.dumps({**traits, "PostgresSettings": {"stop_with_server": True}}))
    manager.run("systemctl", "start", LAB)
    wait_until(lambda: answers(admin), "the server is back", 60, 0.2)
    act(admin, "postgres", "start")
    pid = service(admin, "postgres")["pid"]
    manager.run("systemctl", "stop", LAB)
    assert not lives(manager, pid)
    assert manager.show(LAB, "Result") == "success"


@contextmanager
def server_of(
    user: UnixUser, machine: Systemd, launched: Callable[..., subprocess.Popen[bytes]]
) -> Iterator[httpx.Client]:
    """Run a server whose files and databases are somebody's."""

    def launch(
        command: list[str], env: dict[str, str], folder: Path, log: Path
    ) -> subprocess.Popen[bytes]:
        for path in (folder.parent, *folder.parent.rglob("*")):
            os.lchown(path, user.uid, user.gid)
        return launched(LAB, command, env, folder, log)

    config = {**CONFIG, "JupyterExt": {"rate_limits": UNLIMITED, "cluster_dir": ""}}
    with jupyter.jupyter_server(config=config, launch=launch) as server:
        headers = {"Authorization": f"token {server.token}"}
        try:
            with httpx.Client(
                base_url=server.api, headers=headers, trust_env=False, timeout=60
            ) as client:
                client.post("databases", json={"name": "kept"}).raise_for_status()
                yield client
        finally:
            print(server.log[-4000:])
            machine.end()


@pytest.fixture
def ann() -> Iterator[UnixUser]:
    with scratch_folder("home") as folder:
        folder.chmod(0o755)
        with unix_users(folder, "ann") as [user]:
            yield user


def test_databases_outlive_a_server_of_somebodys_own_systemd(ann: UnixUser) -> None:
    with systemd() as machine:
        own = machine.of(ann)
        with server_of(ann, machine, own.launch) as client:
            pid = service(client, "postgres")["pid"]
            slices = rf"/user\.slice/user-{ann.uid}\.slice/user@{ann.uid}\.service/app\.slice"
            assert re.fullmatch(rf"{slices}/run-\w+\.scope", group(machine, pid))

            refused = client.post("services/jupyter/restart")
            assert refused.status_code == 409
            named = re.search("`(.+)`", refused.json()["error"]["message"])
            assert named is not None
            assert named[1] == f"systemctl --user restart {LAB}"
            own.run(*named[1].split())
            found = partial(runs, client, "postgres")
            wait_until(found, "the databases are found again", 60, 0.2)
            assert service(client, "postgres")["pid"] == pid
            assert service(client, "jupyter")["pid"] == main_pid(own, LAB)


def test_unit_that_may_make_no_scope_leaves_databases_alone_where_it_says_so(
    ann: UnixUser,
) -> None:
    # The interpreter of the tests may lie in root's home.
    more = f"User={ann.uid}\nAmbientCapabilities=CAP_DAC_READ_SEARCH\nKillMode=process\n"
    with (
        systemd() as machine,
        server_of(ann, machine, partial(machine.launch, more=more)) as client,
    ):
        pid = service(client, "postgres")["pid"]
        assert group(machine, pid) == f"/system.slice/{LAB}"
        machine.run("systemctl", "restart", LAB)
        found = partial(runs, client, "postgres")
        wait_until(found, "the databases are found again", 60, 0.2)
        assert service(client, "postgres")["pid"] == pid
        # Without rights, and without a bus, it says what is in the way.
        problem = service(client, "demo")["problem"]
        assert "systemd refuses" in problem
        assert "May this server's user do that?" in problem
