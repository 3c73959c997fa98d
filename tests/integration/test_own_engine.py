"""The tests' own engine leaves nothing behind, however it ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..engines.dockerd import Dockerd
from ..engines.scratch import wait_until

pytestmark = pytest.mark.docker


def traces(engine: Dockerd) -> list[str]:
    """What is left of an engine on this machine."""
    found = [f"bridge {engine.bridge}"] if Path(f"/sys/class/net/{engine.bridge}").exists() else []
    if engine.folder.exists():
        found.append(f"folder {engine.folder}")
    if f"{engine.folder}/" in Path("/proc/self/mountinfo").read_text():
        found.append("mounts")
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if str(engine.folder).encode() in words:
                found.append(f"process {entry.name}")
    return found


@pytest.mark.parametrize("end", ["stop", "crash", "hang"])
def test_nothing_is_left(own_engine: Dockerd, end: str) -> None:
    own_engine.docker("run", "-d", "--init", "busybox", "sleep", "1000")
    own_engine.docker("network", "create", "more")
    assert traces(own_engine)
    if end == "crash":
        own_engine.kill()
    if end == "hang":
        own_engine.pause()
    own_engine.stop()
    wait_until(lambda: not traces(own_engine), "nothing left", 10)


def test_it_comes_back_after_a_crash(own_engine: Dockerd) -> None:
    id_ = own_engine.docker("run", "-d", "--init", "busybox", "sleep", "1000")
    own_engine.kill()
    own_engine.start()
    assert id_ in own_engine.docker("ps", "--all", "--quiet", "--no-trunc")
    own_engine.restart()
    assert id_ in own_engine.docker("ps", "--all", "--quiet", "--no-trunc")
