"""`cluster.py stop`: stop the PostgreSQL of users' databases, which outlives its server.

So does the editor, where that was killed.
"""

from __future__ import annotations

import asyncio
import sys

from jupyter_ext.client.discovery import default_home
from jupyter_ext.errors import PlatformError
from jupyter_ext.postgres.cluster import Cluster
from jupyter_ext.postgres.settings import PostgresSettings
from jupyter_ext.services.child import end_left


async def nobody(identifier: str) -> None:
    """Claim nothing: what is stopped serves nobody."""


def main() -> int:
    """Stop it; 0 when none runs at the end."""
    home = default_home()
    for name in end_left(home, wanted=True):
        print(f"{name}, which a killed server had left, is stopped.", file=sys.stderr)
    cluster = Cluster(PostgresSettings(), home, "", nobody)
    if not cluster.made:
        return 0
    try:
        asyncio.run(cluster.stop())
    except PlatformError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print("PostgreSQL is stopped.", file=sys.stderr)
    if cluster.log is not None:
        print(f"Its databases lie in {cluster.log.parent}.", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
