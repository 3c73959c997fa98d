"""The panel's own unit tests, which are written in TypeScript and run by Node."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .engines import require
from .engines.jupyter import ROOT


@pytest.mark.node
@pytest.mark.timeout(300)
def test_units_of_the_panel() -> None:
    require.program("node", "node")
    environ = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    jlpm = shutil.which("jlpm", path=environ["PATH"])
    if jlpm is None or not (ROOT / "labextension" / "node_modules").exists():
        require.missing("node", "the panel's dependencies are not fetched: scripts/panel.sh build")
    done = subprocess.run(
        [jlpm, "run", "test"],
        cwd=ROOT / "labextension",
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
