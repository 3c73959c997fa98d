"""What is said of a cluster that does not start."""

from __future__ import annotations

import asyncio
import os

import pytest

from jupyter_ext.errors import Unavailable
from jupyter_ext.postgres import postmaster

from ..engines.desk_cluster import DeskCluster

pytestmark = pytest.mark.postgres

EARLIER = 'FATAL:  password authentication failed for user "bob"\n'


def why(cluster: DeskCluster) -> str:
    log = cluster.folder / "run" / "start.log"
    with pytest.raises(Unavailable) as caught:
        asyncio.run(postmaster.start(cluster.place, log))
    return caught.value.message


def test_the_reason_is_of_this_start_and_not_of_somebodys_login(cluster: DeskCluster) -> None:
    cluster.start()
    cluster.stop()
    log = cluster.folder / "run" / "postgresql.log"
    log.write_text(EARLIER)
    os.chown(log, cluster.place.user.uid, cluster.place.user.gid)

    (cluster.place.data / "global" / "pg_control").rename(cluster.folder / "pg_control")
    assert "bob" not in why(cluster)

    (cluster.folder / "pg_control").rename(cluster.place.data / "global" / "pg_control")
    cluster.write("pg_ident.conf", "")
    cluster.write("pg_hba.conf", "nonsense\n")
    said = why(cluster)
    assert "could not load" in said and "pg_hba.conf" in said
