"""Services over HTTP: seen by users, acted on by administrators, kept running."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import URL

from jupyter_ext.errors import Unavailable
from jupyter_ext.services.supervised import Supervised

from ..api.conftest import UNLIMITED
from ..engines import jupyter
from ..engines.clusters import postmasters
from ..engines.jupyter import JupyterServer
from ..engines.scratch import scratch_folder, wait_until
from ..engines.stores import gone
from ..web.visitor import Visitor

EDITOR = [sys.executable, str(Path(__file__).with_name("editor.py")), "{port}"]


def config(*more: str, **services: Any) -> dict[str, dict[str, Any]]:
    return {
        "JupyterExt": {"rate_limits": UNLIMITED},
        "ServiceSettings": {"vscode_command": [*EDITOR, *more], "warning_seconds": 0, **services},
    }


@pytest.fixture(scope="module")
def server() -> Iterator[JupyterServer]:
    with jupyter.jupyter_server(config=config(systemd_units=["cron"])) as running:
        yield running


@pytest.fixture
def admin(server: JupyterServer) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


def service(client: httpx.Client, name: str) -> dict[str, Any]:
    found = client.get("services").raise_for_status().json()["services"]
    return next(each for each in found if each["name"] == name)


def act(client: httpx.Client, name: str, action: str) -> dict[str, Any]:
    reply = client.post(f"services/{name}/{action}")
    assert reply.status_code == 200, reply.text
    found: dict[str, Any] = reply.json()
    return found


def lines(client: httpx.Client, name: str, **query: Any) -> list[str]:
    found: list[str] = (
        client.get(f"services/{name}/logs", params=query).raise_for_status().json()["lines"]
    )
    return found


def lives(pid: int) -> bool:
    return bool(psutil.pid_exists(pid)) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_list_shows_the_documented_services(server: JupyterServer, admin: httpx.Client) -> None:
    found = admin.get("services").json()["services"]
    assert [each["name"] for each in found][:3] == ["postgres", "jupyter", "vscode"]
    own = found[1]
    assert own["status"] == "running"
    assert own["pid"] == server.process.pid
    assert own["port"] == server.port
    assert own["uptime"] >= 0
    assert own["memory_bytes"] > 10 << 20


def numbers(client: httpx.Client) -> dict[str, float]:
    """Return what Prometheus reads, by name and labels."""
    reply = client.get("metrics/prometheus")
    assert reply.status_code == 200
    assert reply.headers["content-type"].startswith("text/plain; version=")
    return {
        "".join([sample.name, *(f" {name}={value}" for name, value in sample.labels.items())]): (
            sample.value
        )
        for family in text_string_to_metric_families(reply.text)
        for sample in family.samples
    }


def test_prometheus_reads_how_everything_is(server: JupyterServer, admin: httpx.Client) -> None:
    act(admin, "vscode", "start")
    found = numbers(admin)
    assert found["jupyter_ext_service_up service=vscode"] == 1
    assert found["jupyter_ext_service_up service=postgres"] == 0
    assert found["jupyter_ext_service_memory_bytes service=jupyter"] > 10 << 20
    assert 0 <= found["jupyter_ext_loop_lag_max_seconds"] < 10
    assert found["process_resident_memory_bytes"] > 10 << 20
    health = admin.get("status").json()["status"]
    assert found[f"jupyter_ext_status status={health}"] == 1
    assert not [name for name, value in found.items() if "source_failed" in name and value]
    act(admin, "vscode", "stop")
    assert numbers(admin)["jupyter_ext_service_up service=vscode"] == 0


@pytest.mark.slow
def test_a_store_that_takes_nothing_any_more_is_told(
    server: JupyterServer, admin: httpx.Client
) -> None:
    def health() -> str:
        return str(admin.get("status").json()["status"])

    with gone(URL.create("sqlite", database=str(server.home / "store.db"))):
        wait_until(lambda: health() == "unhealthy", "somebody to see it", 60)
        [told] = [
            each for each in admin.get("status").json()["problems"] if each["service"] == "store"
        ]
        assert "The store can't be written" in told["what"]
        assert numbers(admin)["jupyter_ext_status status=unhealthy"] == 1
    wait_until(lambda: health() != "unhealthy", "it to be over", 60)


def test_unknown_service_and_action(admin: httpx.Client) -> None:
    missing = admin.post("services/grafana/start")
    assert missing.status_code == 404
    assert missing.json()["error"]["details"] == {"service": "grafana"}
    wrong = admin.post("services/vscode/explode")
    assert wrong.status_code == 400
    assert "action" in wrong.json()["error"]["details"]


def test_users_see_services_and_neither_act_nor_read_logs(
    server: JupyterServer, admin: httpx.Client
) -> None:
    admin.post("users", json={"username": "ulla", "password": "a secret one"}).raise_for_status()
    with server.client(headers={"X-API-Key": server.user_key("ulla")}) as ulla:
        assert len(ulla.get("services").json()["services"]) >= 3
        assert ulla.post("services/vscode/start").status_code == 403
        assert ulla.get("services/jupyter/logs").status_code == 403
    assert service(admin, "vscode")["status"] == "stopped"


def test_editor_starts_in_a_session_of_its_own_and_ends(admin: httpx.Client) -> None:
    started = act(admin, "vscode", "start")
    assert started["status"] == "running"
    pid, port = started["pid"], started["port"]
    assert os.getsid(pid) == pid
    assert act(admin, "vscode", "start")["pid"] == pid
    assert service(admin, "vscode")["memory_bytes"] > 1 << 20
    # Another user of this machine reaches the port, and gets nothing.
    assert httpx.get(f"http://127.0.0.1:{port}/", trust_env=False).status_code == 401
    names = set(psutil.Process(pid).environ())
    assert not {name for name in names if name.startswith(("JUPYTER", "JPY", "PIG", "PYTHON"))}

    again = act(admin, "vscode", "restart")
    assert again["pid"] != pid
    assert not lives(pid)

    assert act(admin, "vscode", "stop")["status"] == "stopped"
    assert not lives(again["pid"])
    assert act(admin, "vscode", "stop")["status"] == "stopped"


def test_killed_editor_is_started_again(admin: httpx.Client) -> None:
    pid = act(admin, "vscode", "start")["pid"]
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: service(admin, "vscode")["pid"] not in (pid, None), "another editor", 15)
    wait_until(lambda: service(admin, "vscode")["status"] == "running", "it runs", 15)
    act(admin, "vscode", "stop")


def test_log_has_no_secrets_and_ends_where_it_is_told(admin: httpx.Client) -> None:
    act(admin, "vscode", "restart")
    said = "\n".join(lines(admin, "vscode"))
    assert "the editor begins" in said
    assert "hunter2" not in said
    assert "token=[hidden]" in said
    assert len(lines(admin, "vscode", tail=1)) == 1
    assert lines(admin, "vscode", since="2020-01-01T00:00:00Z")
    assert lines(admin, "vscode", since="2999-01-01T00:00:00Z") == []
    for wrong in ({"tail": 0}, {"tail": 100_000}, {"since": "2020-01-01T00:00:00"}):
        assert admin.get("services/vscode/logs", params=wrong).status_code == 400
    act(admin, "vscode", "stop")


def test_own_log_has_no_token(server: JupyterServer, admin: httpx.Client) -> None:
    headers = {"Authorization": f"token {server.token}"}
    httpx.get(f"{server.url}api/nothing?token={server.token}", headers=headers, trust_env=False)
    said = "\n".join(lines(admin, "jupyter", tail=2000))
    assert "nothing" in said
    assert server.token not in said
    # The administrator's first password is shown once, and not here.
    assert "password [hidden]" in said


def test_unit_of_systemd_is_listed_and_its_absence_told(admin: httpx.Client) -> None:
    if Path("/run/systemd/system").exists():
        pytest.skip("systemd runs here")
    found = service(admin, "cron")
    assert found["status"] == "unavailable"
    assert "systemd does not run" in found["problem"]
    refused = admin.post("services/cron/start")
    assert refused.status_code == 503
    assert "systemd does not run" in refused.json()["error"]["message"]


def test_editor_opens_at_an_origin_of_its_own_for_administrators_alone(
    server: JupyterServer, admin: httpx.Client
) -> None:
    refused = admin.post("services/vscode/open", json={})
    assert refused.status_code == 409
    assert "pig start vscode" in refused.json()["error"]["message"]
    assert admin.post("services/postgres/open", json={}).status_code == 404
    act(admin, "vscode", "start")
    assert service(admin, "vscode")["opens"]
    link = admin.post("services/vscode/open", json={}).raise_for_status().json()["url"]
    parts = urlsplit(link)
    assert re.fullmatch(r"vscode-[0-9a-f]{8}\.localhost", parts.hostname or "")
    assert parts.port != server.port
    page = f"{parts.scheme}://{parts.netloc}/"
    with closing(Visitor()) as visitor, closing(Visitor()) as other:
        assert visitor.follow(link).status_code == 303
        visitor.cookies[parts.hostname or ""]["code-server-session"] = "forged"
        told = visitor(page).json()
        assert told["cookies"] == "code-server-session=secret"
        assert told["host"].startswith("localhost:")
        # The link works once, and the page is nobody else's.
        assert other.follow(link).status_code == 401
        assert other(page).status_code == 401
        # Neither does another service's page open with it.
        assert visitor(page.replace("vscode-", "jupyter-1-")).status_code == 401
        act(admin, "vscode", "restart")
        assert visitor(page).status_code == 401
    act(admin, "vscode", "stop")


def test_words_of_an_editor_that_dies_are_for_readers_of_its_log(
    make_server: Callable[..., JupyterServer],
) -> None:
    server = make_server(config=config("--dies"))
    words = "no room for an editor"
    with server.client() as client:
        refused = client.post("services/vscode/start")
        assert refused.status_code == 503
        assert words in refused.json()["error"]["message"]
        for name, more in (("ulla", []), ("carl", ["service:control"])):
            body = {"username": name, "password": "a secret one", "permissions": more}
            client.post("users", json=body).raise_for_status()
        assert service(client, "vscode")["status"] in ("failed", "starting")
    with server.client(headers={"X-API-Key": server.user_key("ulla")}) as ulla:
        found = service(ulla, "vscode")
        assert "vscode ended." in found["problem"]
        shown = ulla.get("services").text + ulla.get("status").text
        assert "vscode ended." in shown
        assert words not in shown
    with server.client(headers={"X-API-Key": server.user_key("carl")}) as carl:
        refused = carl.post("services/vscode/start")
        assert refused.status_code == 503
        assert "vscode ended." in refused.json()["error"]["message"]
        assert words not in refused.text
        assert carl.post("services/vscode/stop").json()["status"] == "stopped"


async def test_what_can_not_be_written_down_is_told_and_nothing_runs(tmp_path: Path) -> None:
    place = tmp_path / "services"
    # As on a disk that is full: it can't be replaced.
    (place / "vscode.json" / "x").mkdir(parents=True)
    editor = Supervised(
        "vscode",
        EDITOR,
        secret_variable="HASHED_PASSWORD",
        folder=tmp_path,
        place=place,
        cure="",
    )
    for act in (editor.start, editor.stop):
        with pytest.raises(Unavailable, match=r"can't be written.*disk full"):
            await act()
    assert editor.child is None


async def test_two_servers_never_start_it_twice(tmp_path: Path) -> None:
    both = [
        Supervised(
            "vscode",
            EDITOR,
            secret_variable="HASHED_PASSWORD",
            folder=tmp_path,
            place=tmp_path / "services",
            cure="",
        )
        for _ in range(2)
    ]
    for each in both:
        await each.begin()
    try:
        await asyncio.gather(*(each.start() for each in both))
        first, second = (each.child for each in both)
        assert first is not None
        assert first == second
    finally:
        for each in both:
            await each.end(leave=False)
    assert not lives(first.pid)


@pytest.fixture
def home() -> Iterator[Path]:
    with scratch_folder("home") as found:
        yield found


def test_editor_outlives_a_server_that_is_killed_and_is_found_again(
    home: Path, make_server: Callable[..., JupyterServer]
) -> None:
    first = make_server(home=home, config=config())
    with first.client() as client:
        before = act(client, "vscode", "start")
    first.process.kill()
    first.process.wait()
    assert lives(before["pid"])

    second = make_server(home=home, config=config())
    with second.client() as client:
        wait_until(lambda: service(client, "vscode")["status"] == "running", "it is found")
        assert service(client, "vscode")["pid"] == before["pid"]
        # Killed while nobody's child of this server: it comes back all the same.
        os.kill(before["pid"], signal.SIGKILL)
        wait_until(lambda: service(client, "vscode")["pid"] not in (before["pid"], None), "anew")
        pid = service(client, "vscode")["pid"]
    second.stop()
    assert not lives(pid)

    third = make_server(home=home, config=config())
    with third.client() as client:
        wait_until(lambda: service(client, "vscode")["status"] == "running", "it starts again")
        act(client, "vscode", "stop")


@pytest.mark.postgres
def test_cluster_is_restarted_beside_an_editor_that_is_not_installed() -> None:
    settings = config(vscode_command=["no-such-editor", "{port}"])
    with jupyter.jupyter_server(config=settings) as server, server.client() as client:
        assert service(client, "vscode")["status"] == "not_installed"
        refused = client.post("services/vscode/start")
        assert refused.status_code == 503
        assert "code-server" in refused.json()["error"]["message"]
        found = client.get("status").json()
        assert found["services"]["vscode"] == "not_installed"
        assert "vscode" not in {each["service"] for each in found["problems"]}

        assert service(client, "postgres")["status"] == "stopped"
        client.post("databases", json={"name": "mine"}).raise_for_status()
        found = service(client, "postgres")
        assert found["status"] == "running"
        assert found["pid"] in postmasters(cluster_of(server))
        client.get("databases", params={"fresh": "true"}).raise_for_status()
        told = numbers(client)
        assert told["jupyter_ext_databases"] >= 2
        assert told["jupyter_ext_databases_size_bytes"] > 1 << 20
        assert told["jupyter_ext_postgres_connections state=active"] >= 1
        assert told["jupyter_ext_operations kind=database.create state=succeeded"] == 1
        again = act(client, "postgres", "restart")
        assert again["status"] == "running"
        assert (again["port"], again["pid"] == found["pid"]) == (found["port"], False)
        assert any("database system is ready" in line for line in lines(client, "postgres"))
        assert act(client, "postgres", "stop")["status"] == "stopped"
        refused = client.get("databases")
        assert refused.status_code == 503
        assert act(client, "postgres", "start")["status"] == "running"
        assert client.get("databases").status_code == 200


def cluster_of(server: JupyterServer) -> Path:
    settings = Path(server.environ["JUPYTER_CONFIG_DIR"]) / "jupyter_server_config.json"
    return Path(json.loads(settings.read_text())["JupyterExt"]["cluster_dir"])
