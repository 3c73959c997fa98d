"""Containers that are soon stopped since nobody uses them, in the side panel."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import expect

from ..engines import jupyter
from ..engines.dockerd import Dockerd
from .conftest import OpenLab
from .lab import set_setting

pytestmark = [pytest.mark.browser, pytest.mark.docker]


@pytest.fixture(scope="module")
def idle_lab(docker_engine: Dockerd, busybox_image: str) -> Iterator[jupyter.JupyterServer]:
    """JupyterLab where everything is idle after half a minute, and warned of half as long."""
    config: dict[str, dict[str, Any]] = {
        "IdleThresholds": {"interval": 1},
        "JupyterExt": {"quotas": {"admin": {"idle_minutes": 0.6, "idle_warning_minutes": 0.3}}},
    }
    with jupyter.jupyter_server(docker_host=docker_engine.url, lab=True, config=config) as server:
        set_setting(server, "apputils-extension:notification", fetchNews="false")
        yield server


@pytest.mark.slow
def test_the_row_warns_keeps_and_tells_of_the_stop(
    open_lab: OpenLab, idle_lab: jupyter.JupyterServer, engine: Dockerd
) -> None:
    lab = open_lab(idle_lab)
    for name in ("kept", "left"):
        idle_lab.pig("container", "run", "--name", name, "busybox:latest", "sleep", "600")
    kept, left = lab.row("kept"), lab.row("left")
    expect(left).to_contain_text("Idle, stops at", timeout=60_000)
    expect(kept).to_contain_text("Idle, stops at", timeout=30_000)
    kept.get_by_role("button", name="Keep").click()
    # It is kept for as long as it may be idle, which is warned of again.
    expect(kept).not_to_contain_text("Idle, stops at")
    expect(left).to_contain_text("nobody used it", timeout=60_000)
    lab.expect_status("kept", "running")
