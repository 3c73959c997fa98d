"""PostgreSQL 18, which Debian does not have yet, from a wheel."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jupyter_ext.postgres.programs import WHEEL, Programs

from . import require, scratch


@contextmanager
def programs() -> Iterator[Programs]:
    """Copy its programs to where every user may run them."""
    spec = importlib.util.find_spec(WHEEL)
    if spec is None or spec.origin is None:
        require.missing("postgres", f"{WHEEL} is not installed")
    package = Path(spec.origin).parent
    installed = Path("pginstall18")
    # The checkout may be where only its owner gets. What they link to lies beside the package.
    with scratch.scratch_folder("pg18", in_memory=True) as folder:
        folder.chmod(0o711)
        for part in (package / installed, package.with_name(f"{WHEEL}.libs")):
            shutil.copytree(part, folder / part.relative_to(package.parent), symlinks=True)
        yield Programs(folder / WHEEL / installed / "bin", 18)
