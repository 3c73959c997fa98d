"""An administrator's snapshots: the whole cluster; by command line, SDK and notebook cell."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import pytest

from jupyter_ext.client import Client
from jupyter_ext.errors import NotFound

from ..engines import clusters, jupyter
from ..engines.scratch import scratch_folder, wait_until
from ..postgres.test_databases import url_of
from ..postgres.test_restores import rows, table, write
from .conftest import names, restored, taken, world_in

pytestmark = pytest.mark.postgres


@pytest.mark.slow
def test_what_restores_kept_goes_although_its_owner_is_no_administrator_any_more() -> None:
    with (
        clusters.cluster_folder() as folder,
        world_in(folder) as world,
        world.user("uma", role="admin") as uma,
    ):
        world.made(uma, "umas")
        taken(uma, "hers", parts=["databases"])
        oldest = restored(uma, "hers")["kept"]
        newest = restored(uma, "hers")["kept"]
        world.admin.put("users/uma", json={"role": "user"}).raise_for_status()
        with closing(sqlite3.connect(world.server.home / "store.db", timeout=10)) as store, store:
            store.execute("UPDATE snapshots SET created_at = '2020-01-01 00:00:00.000000'")

        (world.files / "a.txt").write_text("one")
        taken(world.admin, "files", parts=["files"])
        restored(world.admin, "files")

        wait_until(lambda: oldest not in names(uma), "what is overdue to go")
        assert names(uma) == [newest, "hers"]


@pytest.mark.slow
def test_the_cluster_goes_back_and_forth() -> None:
    with (
        clusters.cluster_folder() as folder,
        world_in(folder) as world,
        world.user("uma") as uma,
    ):
        write(table(uma, "umas"), 1)

        made = taken(world.admin, "one", parts=["databases"])

        [cluster] = made["parts"]
        assert cluster["name"] == "cluster" and cluster["moment"]
        write(url_of(uma, "umas"), 2)
        # She has it not, and no cluster.
        assert uma.get("snapshots/one").status_code == 404
        told = restored(world.admin, "one", "cluster")
        assert rows(url_of(uma, "umas")) == [1]
        assert told["kept"].startswith("before one ")

        # To what was there, on the timeline that was left.
        back = restored(world.admin, told["kept"])

        assert back["parts"] == ["cluster"]
        assert "before-" in back["kept_databases"]["cluster"]
        assert rows(url_of(uma, "umas")) == [1, 2]

        # Who was an administrator, and is none any more, has a snapshot of what is everybody's.
        world.admin.put("users/uma", json={"role": "admin"}).raise_for_status()
        taken(uma, "hers", parts=["databases"])
        world.admin.put("users/uma", json={"role": "user"}).raise_for_status()
        for refused in (
            uma.post("snapshots/hers/restore", json={}),
            uma.delete("snapshots/hers"),
        ):
            assert refused.status_code == 403
            assert "Only an administrator" in refused.json()["error"]["message"]
        assert names(uma) == ["hers"]
        assert world.admin.delete("snapshots/hers?owner=uma").status_code == 200


def test_the_command_line_the_sdk_and_a_cell_do_the_same() -> None:
    with clusters.cluster_folder() as folder, world_in(folder) as world:
        (world.files / "a.txt").write_text("one")
        (world.files / ".hidden").write_text("stays")
        made = json.loads(
            world.server.pig("snapshot", "create", "it's one", "--description", "d", "--json")
        )
        # No database was made yet, and the reply says so.
        assert [(each["name"], each["state"]) for each in made["parts"]] == [
            ("cluster", "left_out"),
            ("files", "kept"),
        ]
        refused = world.admin.post("snapshots/it's one/restore", json={"parts": ["database:mydb"]})
        assert refused.status_code == 400
        assert "it has files" in refused.text
        (world.files / "a.txt").write_text("two")
        cell = '%load_ext jupyter_ext\n%snapshot restore --yes --part files "it\'s one"'
        ran = world.server.run(world.server.python, "-m", "IPython", "-c", cell)
        assert "Restored files" in ran.stdout, ran.stdout + ran.stderr
        assert (world.files / "a.txt").read_text() == "one"
        assert (world.files / ".hidden").read_text() == "stays"
        with Client(world.server.url, world.server.key()) as client:
            assert client.snapshots.get("it's one").description == "d"
            assert [each.name for each in client.snapshots.list()] == names(world.admin)
            with pytest.raises(NotFound):
                client.snapshots.restore("nothing")
        assert "which frees" in world.server.pig("snapshot", "delete", "--yes", "it's one")
        assert "it's one" not in world.server.pig("-q", "snapshot", "list").splitlines()


def test_without_restic_and_a_cluster_of_its_own_it_says_what_is_missing() -> None:
    with clusters.cluster_folder() as folder, scratch_folder("path") as tools:
        url = "postgresql://nobody@127.0.0.1:1/postgres"
        with (
            jupyter.jupyter_server(
                config={
                    "JupyterExt": {"cluster_dir": str(folder)},
                    "PostgresSettings": {"url": url},
                },
                environ={"PATH": str(jupyter.tools(tools))},
            ) as server,
            server.client() as admin,
        ):
            (server.folder / "a.txt").write_text("one")
            assert admin.get("status").json()["services"]["snapshots"] == "not_installed"
            refused = admin.post("snapshots", json={"name": "x"})
            assert refused.status_code == 503, refused.text
            assert "apt-get install restic" in refused.json()["error"]["details"]["cure"]
            refused = admin.post("snapshots", json={"name": "x", "parts": ["databases"]})
            assert refused.status_code == 409, refused.text
            assert "disk of the databases' server" in refused.text
            # Without an engine and containers there is nothing to save, and no error.
            refused = admin.post("snapshots", json={"name": "x", "parts": ["containers"]})
            assert refused.status_code == 409, refused.text
            assert names(admin) == []
