"""``pig backup`` and both clients, against a real cluster with real backups."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import psycopg
import pytest

from jupyter_ext.client import AsyncClient, Client, Thing
from jupyter_ext.errors import Forbidden, InvalidRequest, NotFound

from ..engines.scratch import wait_until
from .conftest import Desk
from .test_databases import run

pytestmark = pytest.mark.postgres

PIG = (sys.executable, "-m", "jupyter_ext.cli")


@dataclass
class Shop:
    """A user with a database, two moments of it, and a backup before both."""

    client: Client
    environ: dict[str, str]
    first: datetime
    backup: Thing

    def pig(self, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*PIG, *words], env=self.environ, capture_output=True, text=True, check=False
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done

    def rows(self) -> list[int]:
        with self.client.databases.connect("shop") as connection:
            found = connection.execute("SELECT n FROM log ORDER BY n").fetchall()
        return [row[0] for row in found]


@pytest.fixture(scope="module")
def shop(desk: Desk) -> Iterator[Shop]:
    desk.user("keeper").close()
    key = desk.server.user_key("keeper")
    environ = {**desk.server.environ, "PIG_API_KEY": key, "TZ": "Asia/Shanghai"}
    with Client(desk.server.url, key, timeout=60) as client:
        url = client.databases.create("shop").connection_url
        run(url, "CREATE TABLE log (n int)", "INSERT INTO log VALUES (1)")
        seen: list[Thing] = []
        backup = client.backups.create(progress=seen.append)
        assert seen[-1].state == "succeeded"
        assert (backup.type, backup.databases, backup.owner) == ("full", ["shop"], "keeper")
        time.sleep(1.1)
        run(url, "INSERT INTO log VALUES (2)")
        [(first,)] = run(url, "SELECT clock_timestamp()")
        assert isinstance(first, datetime)
        run(url, "INSERT INTO log VALUES (3)")
        yield Shop(client, environ, first, backup)


def test_without_any_database_the_whole_cluster_is_not_meant(desk: Desk) -> None:
    with Client(desk.server.url, desk.server.key(), timeout=60) as admin:
        made = admin.backups.create()
        with pytest.raises(InvalidRequest) as refused:
            admin.backups.restore(made.id, dry_run=True)
        assert "An empty list is the whole cluster" in refused.value.fields["databases"]
        assert admin.backups.restore(made.id, databases=[], dry_run=True).cluster


def test_there_and_back_from_a_terminal(shop: Shop) -> None:
    id = shop.backup.id
    # On the clock of who sits there.
    here = shop.first.astimezone().isoformat()
    [listed] = json.loads(shop.pig("backup", "list", "--json").stdout)
    assert (listed["id"], listed["databases"]) == (id, ["shop"])
    dry = shop.pig("backup", "restore", "--to", here, "--dry-run")
    assert "restores  shop" in dry.stdout
    assert "shop.before-" in dry.stdout
    assert "CST" in dry.stdout
    asked = shop.pig("backup", "restore", "--to", here, code=2)
    assert "add --yes" in asked.stderr
    assert shop.rows() == [1, 2, 3]

    done = shop.pig("backup", "restore", "--to", here, "--yes", "--json")

    made = json.loads(done.stdout)
    assert shop.rows() == [1, 2]
    assert datetime.fromisoformat(made["target_time"]) == shop.first
    before = made["kept"]["shop"]
    with shop.client.databases.connect(before) as connection:
        assert connection.execute("SELECT count(*) FROM log").fetchall() == [(3,)]
    shop.pig("backup", "restore", id, "--yes", "--database", "shop")
    assert shop.rows() == [1]
    for name in [each["name"] for each in shop.client.databases.list()]:
        if ".before-" in name:
            shop.client.databases.delete(name)


def test_how_it_ends(shop: Shop, desk: Desk) -> None:
    id = shop.backup.id
    assert "See `pig backup list`." in shop.pig("backup", "verify", "nix", code=3).stderr
    assert "administrator" in shop.pig("backup", "delete", "-y", id, code=4).stderr
    assert "administrator" in shop.pig("backup", "restore", id, "--all", "-y", code=4).stderr
    late = shop.pig("backup", "restore", "--to", "2020-01-01 00:00:00", "-y", code=2)
    assert "timeline 1" in late.stderr
    assert "can be restored: tested" in shop.pig("backup", "verify", id).stdout
    assert shop.client.backups.get(id).verified_at is not None
    assert desk.server.pig("-q", "backup", "create", "--type", "incremental").startswith("backup-")
    refused = desk.server.run(*PIG, "backup", "delete", "-y", id)
    assert refused.returncode == 1, refused.stdout
    assert "is needed by" in refused.stderr
    assert shop.client.backups.get(id).id == id


def test_one_is_left_beside_and_looked_into(shop: Shop, desk: Desk) -> None:
    with Client(desk.server.url, desk.server.key(), timeout=60) as admin:
        with pytest.raises(Forbidden):
            shop.client.backups.restore(shop.backup.id, side=True)
        seen: list[Thing] = []
        made = admin.backups.restore(
            shop.backup.id, databases=["shop"], side=True, progress=seen.append
        )
        address = made.side.connection_url
        assert address.split("@")[0] not in repr(seen)
        with psycopg.connect(address.removesuffix("/postgres") + "/shop") as connection:
            assert connection.execute("SELECT n FROM log").fetchall() == [(1,)]
        assert desk.server.pig("-q", "backup", "side", "list") == f"{made.side.id}\n"
        gone = desk.server.pig("backup", "side", "delete", "-y", made.side.id)
        assert gone == f"Deleted {made.side.id}.\n"
        assert admin.backups.sides() == []


def test_the_awaited_client(shop: Shop) -> None:
    async def work() -> tuple[Thing, Thing]:
        key = shop.client.server.credential.key
        async with AsyncClient(shop.client.server.url, key, timeout=60) as client:
            with pytest.raises(NotFound):
                await client.backups.get("nix")
            with pytest.raises(InvalidRequest):
                await client.backups.create(type="hourly")
            [listed] = [b for b in await client.backups.list() if b.id == shop.backup.id]
            plan = await client.backups.restore(listed.id, to=datetime.now(UTC), dry_run=True)
            return listed, plan

    listed, plan = asyncio.run(work())
    assert listed.id == shop.backup.id
    assert (plan.dry_run, plan.databases) == (True, ["shop"])


def test_without_a_name_a_moment_is_of_the_newest_backup_before_it(desk: Desk) -> None:
    """Right after it, too, while no WAL behind it is archived and older ones have windows."""
    server = desk.server
    urls = {name: desk.made(desk.admin, name)["connection_url"] for name in ("nbx", "fresh")}
    for url in urls.values():
        run(url, "CREATE TABLE log (n int)", "INSERT INTO log VALUES (1)")
    with Client(server.url, server.key(), timeout=60) as admin:
        old = admin.backups.create(type="incremental")
        time.sleep(1.1)
        with admin.databases.connect("postgres") as connection:
            connection.execute("CREATE TABLE seen ()")
            connection.commit()
            connection.execute("SELECT pg_switch_wal()")
        wait_until(lambda: admin.backups.get(old.id).recovery_window, "a window", 20)

        # One for all is so by their names: the whole cluster only where it is asked for.
        plan = admin.backups.restore(old.id, dry_run=True)
        assert not plan.cluster
        assert {*urls} <= {*plan.databases}
        assert "postgres" not in plan.databases

        new = admin.backups.create(type="incremental", databases=["fresh"])
        time.sleep(2.1)
        [(moment,)] = run(urls["fresh"], "SELECT clock_timestamp()")
        for url in urls.values():
            run(url, "INSERT INTO log VALUES (2)")
        assert isinstance(moment, datetime)
        assert not admin.backups.get(new.id).recovery_window, "or there is nothing to see"
        words = ("backup", "restore", "--to", moment.isoformat())
        dry = json.loads(server.pig(*words, "--dry-run", "--json"))
        assert (dry["backup"], dry["databases"]) == (new.id, ["fresh"])

        made = json.loads(server.pig(*words, "--yes", "--json"))

        assert (made["databases"], made["cluster"]) == (["fresh"], False)
        assert run(urls["fresh"], "SELECT n FROM log") == [(1,)]
        assert run(urls["nbx"], "SELECT n FROM log") == [(1,), (2,)]
        assert "cluster" in server.pig(*words, "--all", "--dry-run")
