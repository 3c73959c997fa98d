"""`cluster.py stop`: stop the PostgreSQL of users' databases, which outlives its server.

So does the editor, where that was killed.
"""

from __future__ import annotations

import sys

from jupyter_ext.client.discovery import default_home
from jupyter_ext.errors import PlatformError
from jupyter_ext.postgres import alone
from jupyter_ext.postgres.files import Record
from jupyter_ext.services.child import end_left


def main() -> int:
    """Stop it; 0 when none runs at the end."""
    home = default_home()
    for name in end_left(home, wanted=True):
        print(f"{name}, which a killed server had left, is stopped.", file=sys.stderr)
    try:
        if alone.stop(home):
            print("PostgreSQL is stopped.", file=sys.stderr)
        if alone.runs(home):
            print("error: a server uses PostgreSQL; end that first.", file=sys.stderr)
            return 1
        record = Record.read(home)
    except PlatformError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if record is not None:
        print(f"Its databases lie in {record.folder}.", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
