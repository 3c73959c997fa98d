"""`cluster.py stop`: stop the PostgreSQL of users' databases, which outlives its server."""

from __future__ import annotations

import asyncio
import sys

from jupyter_ext.client.discovery import default_home
from jupyter_ext.errors import PlatformError
from jupyter_ext.postgres.cluster import Cluster
from jupyter_ext.postgres.settings import PostgresSettings


async def nobody(identifier: str) -> None:
    """Claim nothing: what is stopped serves nobody."""


def main() -> int:
    """Stop it; 0 when none runs at the end."""
    cluster = Cluster(PostgresSettings(), default_home(), "", nobody)
    if not cluster.made:
        return 0
    try:
        asyncio.run(cluster.stop())
    except PlatformError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print("PostgreSQL is stopped.", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
