"""Migrations: complete, alone, and never downwards."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

# What makes the tables known, as `app.py` does.
import jupyter_ext.accounts.records
import jupyter_ext.containers.records
import jupyter_ext.devices.records
import jupyter_ext.idle.records
import jupyter_ext.operations.records
import jupyter_ext.postgres.records
import jupyter_ext.snapshots.records
import jupyter_ext.store.leases
import jupyter_ext.web.records  # noqa: F401
from jupyter_ext.accounts.records import UserRecord
from jupyter_ext.containers.records import ImageRecord, ImageShare
from jupyter_ext.errors import Unavailable
from jupyter_ext.store import Store, utcnow
from jupyter_ext.store.base import Base
from jupyter_ext.store.schema import MIGRATIONS, revisions

from ..engines.stores import KEY, MakeStore

ROOT = Path(__file__).resolve().parents[2]


def test_every_record_of_the_package_is_known_here() -> None:
    folders = {path.parent.name for path in (ROOT / "jupyter_ext").glob("*/records.py")}
    known = {name.split(".")[1] for name in sys.modules if name.endswith(".records")}
    assert folders <= known


async def test_migrations_make_exactly_the_tables_of_the_records(
    empty_store_url: str,
) -> None:
    def differences(connection: Connection) -> object:
        from alembic.autogenerate import compare_metadata
        from alembic.migration import MigrationContext

        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return compare_metadata(context, Base.metadata)

    store = Store(empty_store_url, key=KEY)
    await store.open()
    try:
        async with store.read() as session:
            connection = await session.connection()
            assert await connection.run_sync(differences) == []
    finally:
        await store.close()


def test_revisions_are_a_line_that_alembic_agrees_with() -> None:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    script = ScriptDirectory.from_config(config)
    line = [revision.revision for revision in script.walk_revisions()]
    assert tuple(reversed(line)) == revisions()
    assert script.get_heads() == [revisions()[-1]]


async def test_a_newer_schema_is_refused_and_left_alone(store: Store) -> None:
    async with store.write() as session:
        await session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    older = Store(store.url.render_as_string(hide_password=False), key=KEY)
    with pytest.raises(Unavailable, match=r"\(9999\) is newer") as caught:
        await older.open()
    assert "Install" in caught.value.cure
    async with store.read() as session:
        assert await session.scalar(text("SELECT version_num FROM alembic_version")) == "9999"


async def test_servers_that_start_at_once_migrate_once(empty_store_url: str) -> None:
    stores = [Store(empty_store_url, key=KEY) for _ in range(4)]
    try:
        await asyncio.gather(*(store.open() for store in stores))
        assert len({store.id for store in stores}) == 1
    finally:
        for store in stores:
            await store.close()


def test_processes_that_start_at_once_migrate_once(empty_store_url: str) -> None:
    code = (
        "import asyncio, sys\n"
        "from jupyter_ext.store import Store\n"
        "async def main():\n"
        "    store = Store(sys.argv[1])\n"
        "    await store.open()\n"
        "    print(store.id, store.secrets.fingerprint)\n"
        "    await store.close()\n"
        "asyncio.run(main())\n"
    )
    # SQLite's servers have no key given: one of them makes it for all.
    more = {} if empty_store_url.startswith("sqlite") else {"JUPYTER_EXT_STORE_KEY": KEY}
    children = [
        subprocess.Popen(
            [sys.executable, "-c", code, empty_store_url],
            cwd=ROOT,
            env=os.environ | more,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    answers = [child.communicate(timeout=60) for child in children]
    assert [child.returncode for child in children] == [0, 0, 0], answers
    assert len({output for output, _ in answers}) == 1


def test_an_up_to_date_schema_needs_no_alembic(make_store: MakeStore, store_url: str) -> None:
    make_store()
    code = (
        "import asyncio, sys\n"
        "from jupyter_ext.store import Store\n"
        "async def main():\n"
        "    store = Store(sys.argv[1])\n"
        "    await store.open()\n"
        "    await store.close()\n"
        "asyncio.run(main())\n"
        "heavy = [name for name in ('alembic', 'cryptography', 'argon2') if name in sys.modules]\n"
        "assert not heavy, heavy\n"
    )
    environ = os.environ | {"JUPYTER_EXT_STORE_KEY": KEY}
    subprocess.run([sys.executable, "-c", code, store_url], cwd=ROOT, env=environ, check=True)


async def test_a_migration_that_fails_leaves_nothing_behind(
    empty_store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from alembic import command

    def upgrade(config: object, revision: str) -> None:
        connection = config.attributes["connection"]  # type: ignore[attr-defined]
        connection.execute(text("CREATE TABLE half (way INTEGER)"))
        raise RuntimeError("half-way")

    store = Store(empty_store_url, key=KEY)
    with monkeypatch.context() as patch:
        patch.setattr(command, "upgrade", upgrade)
        with pytest.raises(RuntimeError, match="half-way"):
            await store.open()
    await store.open()
    try:
        async with store.read() as session:
            with pytest.raises(Exception, match="half"):
                await session.execute(text("SELECT * FROM half"))
    finally:
        await store.close()


async def test_what_an_earlier_version_wrote_stays(
    empty_store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from alembic import command

    upgrade, when = command.upgrade, utcnow()
    store = Store(empty_store_url, key=KEY)
    with monkeypatch.context() as patch:
        # Before images could be shared.
        patch.setattr(command, "upgrade", lambda config, _: upgrade(config, "0004"))
        await store.open()
    async with store.write() as session:
        session.add(
            UserRecord(
                id="user-7",
                username="alice",
                role="user",
                enabled=True,
                permissions=[],
                created_at=when,
            )
        )
        session.add(ImageRecord(iid=7, engine_id="sha256:7", owner="user-7", created_at=when))
    await store.close()
    await store.open()
    try:
        async with store.write() as session:
            image = await session.get(ImageRecord, 7)
            assert image is not None
            assert (image.engine_id, image.owner) == ("sha256:7", "user-7")
            session.add(ImageShare(iid=7, user_id="user-7", created_at=when))
        async with store.write() as session:
            await session.execute(text("DELETE FROM users"))
        async with store.read() as session:
            assert await session.get(ImageShare, (7, "user-7")) is None
    finally:
        await store.close()
