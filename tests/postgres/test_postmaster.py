"""What is said of a cluster that does not start."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

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


FOUND = """
import sys
from pathlib import Path
from jupyter_ext.postgres.postmaster import find

print([found and found.pid for found in map(find, map(Path, sys.argv[1:]))])
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone can have less than it has")
def test_one_that_runs_is_found_where_root_may_do_less(cluster: DeskCluster) -> None:
    """As in a container: its pid file would be taken from it, and it would end."""
    cluster.start()
    running = postmaster.find(cluster.place.data)
    assert running is not None
    # Another one's file that names this one is as good as none.
    other = cluster.folder / "other"
    other.mkdir()
    said = (cluster.place.data / "postmaster.pid").read_text()
    (other / "postmaster.pid").write_text(said.replace(str(cluster.place.data), str(other)))

    bounded = ["setpriv", "--bounding-set=-sys_ptrace", "--inh-caps=-sys_ptrace", "--"]
    words = [*bounded, sys.executable, "-c", FOUND, str(cluster.place.data), str(other)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.strip() == f"[{running.pid}, None]", done.stderr
