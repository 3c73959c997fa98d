"""The product's own cluster: made, found again, kept running, and never anybody else's."""

from __future__ import annotations

import json
import os
import pwd
import signal
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
import pytest

from jupyter_ext.cli.program import run
from jupyter_ext.errors import Unavailable
from jupyter_ext.postgres import alone, files
from jupyter_ext.postgres.processes import SystemUser

from ..engines import clusters, jupyter
from ..engines.jupyter import JupyterServer
from ..engines.postgres import PostgresServer
from ..engines.scratch import scratch_folder, wait_until
from .conftest import settings

pytestmark = pytest.mark.postgres


@pytest.fixture
def folder() -> Iterator[Path]:
    with clusters.cluster_folder() as found:
        yield found


@pytest.fixture
def home() -> Iterator[Path]:
    with scratch_folder("home") as found:
        yield found


def make(client: httpx.Client, name: str) -> dict[str, Any]:
    reply = client.post("databases", json={"name": name})
    assert reply.status_code == 201, reply.text
    found: dict[str, Any] = reply.json()
    return found


def running(server: JupyterServer) -> bool:
    with server.client() as client:
        return bool(client.get("status").json()["services"]["postgres"] == "running")


def data_of(folder: Path) -> Path:
    [data] = folder.glob("*/data")
    return data


def test_it_is_made_with_the_first_database_and_belongs_to_no_root(folder: Path) -> None:
    with jupyter.jupyter_server(config=settings(folder)) as server, server.client() as client:
        assert client.get("databases").json()["databases"] == []
        assert client.get("status").json()["services"]["postgres"] == "stopped"
        assert not list(folder.iterdir())

        make(client, "first")

        assert client.get("status").json()["services"]["postgres"] == "running"
        [pid] = clusters.postmasters(folder)
        assert psutil.Process(pid).username() == clusters.system_user()
        owner = pwd.getpwuid(data_of(folder).stat().st_uid).pw_name
        assert owner == clusters.system_user()
        for place in ("data", "run"):
            mode = (data_of(folder).parent / place).stat().st_mode
            assert stat.S_IMODE(mode) == 0o700


def test_nobody_comes_in_without_a_password_that_is_kept_as_scram_keeps_it(folder: Path) -> None:
    with jupyter.jupyter_server(config=settings(folder)) as server, server.client() as client:
        url = make(client, "locked")["connection_url"]
        with psycopg.connect(url) as connection:
            rules = connection.execute(
                "SELECT type, user_name, auth_method FROM pg_hba_file_rules WHERE error IS NULL"
            ).fetchall()
            kept = connection.execute("SELECT rolname, rolpassword FROM pg_authid").fetchall()
        # By their user of the machine come the cluster's own programs alone.
        assert {(kind, *users) for kind, users, how in rules if how == "peer"} == {("local", "dba")}
        assert {how for _, _, how in rules} == {"peer", "scram-sha-256"}
        secrets = [secret for name, secret in kept if secret is not None]
        assert secrets and all(secret.startswith("SCRAM-SHA-256$") for secret in secrets)
        for wrong in ("wrong", ""):
            with pytest.raises(psycopg.OperationalError, match="password"):
                psycopg.connect(url, password=wrong).close()


def test_it_outlives_the_server_and_is_found_again(
    folder: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with jupyter.jupyter_server(config=settings(folder), home=home) as server:
        with server.client() as client:
            url = make(client, "lasting")["connection_url"]
        [pid] = clusters.postmasters(folder)
        # Its descriptors and its session are its own.
        assert os.getsid(pid) != os.getsid(server.process.pid)
        ours = {str(home / "store.db"), str(server.log_file)}
        assert not ours & {each.path for each in psutil.Process(pid).open_files()}
        with psycopg.connect(url, autocommit=True) as connection:
            server.process.kill()
            server.process.wait()
            assert connection.execute("SELECT 1").fetchone() == (1,)
            with jupyter.jupyter_server(config=settings(folder), home=home) as second:
                wait_until(lambda: running(second), "the cluster to be found")
                with second.client() as client:
                    names = [each["name"] for each in client.get("databases").json()["databases"]]
                assert "lasting" in names
                assert clusters.postmasters(folder) == [pid]
                assert connection.execute("SELECT 1").fetchone() == (1,)
                # Who has a server has that one stop it.
                assert not alone.stop(home)

    for name in ("PIG_URL", "JUPYTER_EXT_URL", "PIG_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIG_HOME", str(home))
    # Nobody is there to be asked, then nobody need be.
    for words, code, left in (([], 2, [pid]), (["--yes"], 0, []), (["--yes"], 1, [])):
        assert run(["stop", *words, "postgres"]) == code
        assert clusters.postmasters(folder) == left
    with jupyter.jupyter_server(config=settings(folder), home=home) as third:
        wait_until(lambda: running(third), "the cluster to start")


def test_it_is_started_with_the_server_where_it_does_not_run(folder: Path, home: Path) -> None:
    config = settings(folder, stop_with_server=True)
    with jupyter.jupyter_server(config=config, home=home) as server, server.client() as client:
        make(client, "there")
    assert clusters.postmasters(folder) == []

    with jupyter.jupyter_server(config=config, home=home) as server, server.client() as client:
        wait_until(lambda: running(server), "the cluster to start")
        assert "there" in client.get("databases").text


def test_a_killed_one_comes_back(folder: Path) -> None:
    with jupyter.jupyter_server(config=settings(folder)) as server, server.client() as client:
        url = make(client, "back")["connection_url"]
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE TABLE t AS SELECT 1 AS x")
        [pid] = clusters.postmasters(folder)

        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: clusters.postmasters(folder) not in ([], [pid]), "another process")

        wait_until(lambda: running(server), "the cluster to answer")
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT x FROM t").fetchone() == (1,)
        make(client, "after")


@pytest.mark.slow
def test_what_another_process_has_the_number_of_is_not_taken_for_it(
    folder: Path, home: Path
) -> None:
    config = settings(folder, stop_with_server=True)
    with jupyter.jupyter_server(config=config, home=home) as server, server.client() as client:
        make(client, "there")
    # As a crash of the machine leaves it.
    lines = [os.getpid(), data_of(folder), int(time.time()) - 9, 5432, folder, "", "1 1", "ready"]
    pid_file = data_of(folder) / "postmaster.pid"
    pid_file.write_text("".join(f"{line}\n" for line in lines))
    user = pwd.getpwnam(clusters.system_user())
    os.chown(pid_file, user.pw_uid, user.pw_gid)

    with jupyter.jupyter_server(config=config, home=home) as server:
        wait_until(lambda: running(server), "the cluster to start")


@pytest.mark.slow
def test_a_port_that_somebody_took_is_left_to_them(folder: Path, home: Path) -> None:
    config = settings(folder, stop_with_server=True)
    with jupyter.jupyter_server(config=config, home=home) as server, server.client() as client:
        make(client, "moved")
    port = json.loads((home / files.RECORD).read_text())["port"]

    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        with jupyter.jupyter_server(config=config, home=home) as server, server.client() as client:
            wait_until(lambda: running(server), "the cluster to start")
            way = client.get("databases/moved/connection").json()
            assert way["port"] != port
            psycopg.connect(way["url"]).close()


def test_what_a_crash_left_of_making_it_is_no_cluster(folder: Path, home: Path) -> None:
    name = files.folder_for(home, str(folder))
    half = name / "data.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("15\n")
    user = pwd.getpwnam(clusters.system_user())
    for path in (name, half, half / "PG_VERSION"):
        os.chown(path, user.pw_uid, user.pw_gid)

    with (
        jupyter.jupyter_server(config=settings(folder), home=home) as server,
        server.client() as client,
    ):
        make(client, "whole")
        assert not half.exists()


@pytest.mark.slow
def test_a_new_one_whose_making_was_cut_off_is_put_into_its_place(folder: Path, home: Path) -> None:
    config = settings(folder, stop_with_server=True)
    with jupyter.jupyter_server(config=config, home=home) as server, server.client() as client:
        make(client, "kept")
    data = data_of(folder)
    # As a crash leaves it after it was recorded, and claimed in the store.
    data.rename(data.with_name("data.new"))

    with jupyter.jupyter_server(config=config, home=home) as server, server.client() as client:
        found = client.get("databases")
        assert "kept" in [one["name"] for one in found.json()["databases"]], found.text


@pytest.mark.slow
def test_a_cluster_that_is_not_the_one_is_not_touched(folder: Path, home: Path) -> None:
    config = settings(folder, stop_with_server=True)
    with jupyter.jupyter_server(config=config, home=home) as server, server.client() as client:
        make(client, "mine")
    record = json.loads((home / files.RECORD).read_text())
    (home / files.RECORD).write_text(json.dumps(record | {"system_identifier": "123"}))

    with jupyter.jupyter_server(config=config, home=home) as server, server.client() as client:
        wait_until(lambda: client.get("status").json()["problems"] != [], "the problem")
        refused = client.get("databases")

        assert refused.status_code == 503
        assert "is another one than" in refused.json()["error"]["message"]


def test_without_postgresql_the_cure_is_told(folder: Path) -> None:
    config = settings(folder, programs=str(folder))
    with jupyter.jupyter_server(config=config) as server, server.client() as client:
        refused = client.post("databases", json={"name": "x"})

        assert client.get("status").json()["services"]["postgres"] == "failed"
        assert refused.status_code == 503
        assert "is not installed" in refused.json()["error"]["details"]["what"]
        assert "apt-get install postgresql" in refused.json()["error"]["details"]["cure"]


class TestAnotherServer:
    """The databases lie on a server that somebody else runs."""

    def test_databases_are_made_there(self, postgres_server: PostgresServer, folder: Path) -> None:
        config = settings(folder, url=postgres_server.url)
        with jupyter.jupyter_server(config=config) as server, server.client() as client:
            made = make(client, "elsewhere")
            try:
                assert f":{postgres_server.port}/" in made["connection_url"]
                with psycopg.connect(made["connection_url"]) as inside:
                    inside.execute("CREATE TABLE t AS SELECT 1 AS n")
                    inside.commit()
                    # By a dump, since somebody is in it.
                    reply = client.post("databases/elsewhere/clone", json={"name": "farther"})
                assert reply.status_code == 201, reply.text
                with psycopg.connect(reply.json()["connection_url"]) as inside:
                    assert inside.execute("SELECT n FROM t").fetchall() == [(1,)]
                assert client.get("status").json()["services"]["postgres"] == "running"
                for action in ("start", "stop", "restart"):
                    refused = client.post(f"services/postgres/{action}")
                    assert refused.status_code == 409
                    told = refused.json()["error"]["message"]
                    assert f"`sudo systemctl {action} postgresql`" in told
                assert client.get("services/postgres/logs").status_code == 409
            finally:
                for name in ("elsewhere", "farther"):
                    client.delete(f"databases/{name}?force=true")
            names = [each["name"] for each in client.get("databases").json()["databases"]]
            assert not {"elsewhere", "farther"} & {*names}
        assert not list(folder.iterdir())

    def test_a_role_that_was_there_before_is_not_taken(
        self, postgres_server: PostgresServer, folder: Path
    ) -> None:
        config = settings(folder, url=postgres_server.url)
        with psycopg.connect(postgres_server.url, autocommit=True) as connection:
            connection.execute("CREATE ROLE somebody LOGIN PASSWORD 'old'")
            try:
                with jupyter.jupyter_server(config=config) as server, server.client() as admin:
                    body = {"username": "somebody", "password": "secure_password"}
                    admin.post("users", json=body).raise_for_status()
                    headers = {"X-API-Key": server.user_key("somebody")}
                    with server.client(headers=headers) as client:
                        refused = client.post("databases", json={"name": "x"})
                assert refused.status_code == 409
                assert "was not made here" in refused.json()["error"]["message"]
            finally:
                connection.execute("DROP ROLE somebody")

    def test_a_role_that_is_no_superuser_is_refused(
        self, postgres_server: PostgresServer, folder: Path
    ) -> None:
        with psycopg.connect(postgres_server.url, autocommit=True) as connection:
            connection.execute("CREATE ROLE weak LOGIN CREATEDB")
            try:
                url = postgres_server.url.replace("postgres@", "weak@")
                with (
                    jupyter.jupyter_server(config=settings(folder, url=url)) as server,
                    server.client() as client,
                ):
                    refused = client.get("databases")
                assert refused.status_code == 503
                assert "no superuser" in refused.json()["error"]["message"]
            finally:
                connection.execute("DROP ROLE weak")

    def test_one_that_is_away_is_told(self, folder: Path) -> None:
        config = settings(folder, url="postgresql://postgres@127.0.0.1:1/postgres")
        with jupyter.jupyter_server(config=config) as server, server.client() as client:
            refused = client.get("databases")

            assert refused.status_code == 503
            assert client.get("status").json()["services"]["postgres"] == "failed"


class TestFolders:
    def test_a_long_path_has_its_socket_elsewhere(self, tmp_path: Path) -> None:
        long = tmp_path / ("x" * 90)
        long.mkdir()

        place = files.socket_folder(long, 65535, SystemUser.own())

        try:
            assert len(os.fsencode(place / ".s.PGSQL.65535.lock")) <= files.SOCKET_PATH
            assert stat.S_IMODE(place.stat().st_mode) == 0o700
            with socket.socket(socket.AF_UNIX) as probe:
                probe.bind(str(place / ".s.PGSQL.65535"))
        finally:
            for left in place.iterdir():
                left.unlink()
            place.rmdir()

    def test_somebody_elses_folder_is_not_entered(self, tmp_path: Path) -> None:
        (tmp_path / "there").mkdir()
        (tmp_path / "run").symlink_to(tmp_path / "there")

        with pytest.raises(Unavailable, match="somebody else"):
            files.socket_folder(tmp_path, 5432, SystemUser.own())

    def test_a_network_file_system_is_refused(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # No such file system can be mounted here: what the kernel lists is made up.
        part = psutil._ntuples.sdiskpart("server:/x", str(tmp_path), "nfs4", "rw")
        monkeypatch.setattr(psutil, "disk_partitions", lambda all: [part])

        with pytest.raises(Unavailable, match=r"network file system \(nfs4\).*cluster_dir"):
            files.check_file_system(tmp_path / "data")
