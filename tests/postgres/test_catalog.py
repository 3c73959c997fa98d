"""What the catalogue of databases does, asked directly."""

from __future__ import annotations

import pytest
from psycopg import OperationalError

from jupyter_ext.errors import Conflict, NotFound
from jupyter_ext.postgres.catalog import Catalog
from jupyter_ext.postgres.connections import Connections
from jupyter_ext.postgres.spare import Spare

from ..engines.desk_cluster import DeskCluster
from .test_kept_connections import with_connections

pytestmark = pytest.mark.postgres


def test_who_has_the_name_of_what_is_to_be_dropped_by_now_keeps_it(cluster: DeskCluster) -> None:
    async def work(connections: Connections) -> None:
        catalog = Catalog(connections, Spare(connections))
        cluster.sql("CREATE DATABASE race")
        meant = await catalog.find("race")
        cluster.sql("DROP DATABASE race")
        cluster.sql("CREATE DATABASE race")
        by_now = await catalog.find("race")
        assert by_now.oid != meant.oid

        assert not await catalog.drop(meant, force=True)

        assert (await catalog.find("race")).oid == by_now.oid
        assert await catalog.drop(by_now)
        with pytest.raises(NotFound):
            await catalog.find("race")
        # What is gone already was to go.
        assert not await catalog.drop(by_now)

    with_connections(cluster, work)


def test_a_restore_ends_nobody_in_another_roles_database_of_the_name(cluster: DeskCluster) -> None:
    async def work(connections: Connections) -> None:
        catalog = Catalog(connections, Spare(connections))
        cluster.sql("CREATE ROLE somebody")
        cluster.sql("CREATE DATABASE busy OWNER somebody")
        async with connections.to("busy") as session, catalog.switching(["busy"]) as connection:
            with pytest.raises(Conflict, match="busy is somebody else's by now"):
                await catalog.shut(connection, "busy", "anybody")
            await session.execute("SELECT 1")
            assert not (await catalog.find("busy")).closed

            await catalog.shut(connection, "busy", "somebody")
            with pytest.raises(OperationalError):
                await session.execute("SELECT 1")
            assert (await catalog.find("busy")).closed

    with_connections(cluster, work)
