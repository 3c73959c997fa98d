"""How operators choose the PostgreSQL that serves users."""

from __future__ import annotations

from traitlets import Bool, Int, Unicode
from traitlets.config import Configurable


class PostgresSettings(Configurable):
    """The cluster of users' databases."""

    url = Unicode(
        "",
        help="A PostgreSQL server that is there already, as one of its superusers: "
        "postgresql://postgres:password@db.lab/postgres. Empty: the product runs a cluster of its "
        "own.",
    ).tag(config=True)

    programs = Unicode(
        "",
        help="Folder with PostgreSQL's programs, /usr/lib/postgresql/17/bin "
        "(default: the newest that is installed).",
    ).tag(config=True)

    system_user = Unicode(
        "postgres",
        help="Where the server runs as root: the user of this machine to whom the cluster belongs.",
    ).tag(config=True)

    bind_address = Unicode(
        "127.0.0.1", help="Address at which the cluster listens, beside its Unix socket."
    ).tag(config=True)

    port = Int(
        0,
        min=0,
        max=65535,
        help="Port of the cluster; 0 is a free one, chosen when the cluster is made and kept.",
    ).tag(config=True)

    connections_per_user = Int(
        30, min=1, help="Connections that a user may have at once, in all databases together."
    ).tag(config=True)

    stop_with_server = Bool(
        False,
        help="Whether the cluster stops together with the server; otherwise it goes on, and "
        "the next server finds it.",
    ).tag(config=True)

    over_quota_read_only = Bool(
        False,
        help="Whether new sessions in the databases of a user who is over the quota database_size "
        "only read, until the user is below it. A session that wants to write all the same can.",
    ).tag(config=True)

    size_interval = Int(
        60, min=5, help="Seconds between two measurements of how large the databases are."
    ).tag(config=True)
