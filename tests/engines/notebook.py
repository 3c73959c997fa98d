"""An engine for the notebook image, whose base and layers are kept between runs.

The first run makes a Debian (half a minute) and builds upon it (a minute); the engine's own cache
of steps, in the tests' cache folder, makes seconds of that the next time, for as long as neither
the recipe nor the engine changes.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

from . import require
from .dockerd import Dockerd, EngineMissing, dockerd_program
from .images import cache_folder

BASE = "debian-of-the-tests:bookworm"
NOTEBOOK = "jupyter-ext/notebook:latest"
KEPT = "kept-of-the-tests:latest"

# Not where Debian's own bundle is, which a package's script writes anew.
CERTIFICATES = "/usr/local/share/certificates-of-the-tests.pem"


@contextlib.contextmanager
def notebook_engine() -> Iterator[Dockerd]:
    """Start an engine that has the base, reaches packages, and lacks the notebook image."""
    data = cache_folder() / f"notebook-{_engine_version()}"
    with _alone(Path(f"{data}.lock")):
        try:
            engine = Dockerd(outbound=True, data=data).start()
        except EngineMissing:
            # A run that was killed may have left a store that can't be read.
            shutil.rmtree(data, ignore_errors=True)
            engine = Dockerd(outbound=True, data=data).start()
        try:
            engine.clean()
            _forget(engine)
            if not engine.docker("images", "--quiet", BASE):
                _make_base(engine)
            yield engine
        finally:
            engine.clean()
            _keep(engine)
            engine.stop()


def _engine_version() -> str:
    words = subprocess.run(
        [dockerd_program(), "--version"], check=True, capture_output=True, text=True
    )
    return words.stdout.split()[2].strip(",")


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Two engines can't share one folder."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _make_base(engine: Dockerd) -> None:
    bundle = os.environ.get("SSL_CERT_FILE") or ssl.get_default_verify_paths().cafile
    hooks = []
    changes = ["ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
    if bundle and Path(bundle).is_file():
        # pip brings its own bundle, and a machine may be reached through a proxy that it lacks.
        hooks = [f"--customize-hook=upload {bundle} {CERTIFICATES}"]
        changes.append(f"ENV PIP_CERT={CERTIFICATES}")
    program = require.program("docker", "mmdebstrap")
    options = ["--quiet", "--variant=minbase", "--dpkgopt=force-unsafe-io", *hooks]
    made = subprocess.run([program, *options, "bookworm", "-"], capture_output=True, check=False)
    if made.returncode:
        raise RuntimeError(f"mmdebstrap: {made.stderr.decode(errors='replace')}")
    words = [word for change in changes for word in ("--change", change)]
    engine.docker("import", *words, "-", BASE, stdin=made.stdout, timeout=120)


def _keep(engine: Dockerd) -> None:
    """Keep the steps of the last build by an image that is made of it, and nothing else."""
    if engine.docker("images", "--quiet", NOTEBOOK, check=False):
        recipe = f"FROM {NOTEBOOK}\nLABEL kept=true\n".encode()
        engine.docker("build", "--tag", KEPT, "-", stdin=recipe, check=False)
        _forget(engine)
    engine.docker("image", "prune", "--force", check=False)


def _forget(engine: Dockerd) -> None:
    """Remove what tests named; steps of builds stay where something is made of them."""
    names = engine.docker("images", "--format", "{{.Repository}}:{{.Tag}}").split()
    others = [name for name in names if name not in (BASE, KEPT) and "<none>" not in name]
    if others:
        engine.docker("rmi", "--force", "--no-prune", *others, check=False)
