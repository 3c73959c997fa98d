"""When the desk is gone. The last one: JupyterHub takes half a minute to start it again."""

from __future__ import annotations

import os

import pytest

from ..engines.hub import Hub
from ..engines.hub_browser import Browser
from .asking import CONTAINERS

pytestmark = [pytest.mark.hub, pytest.mark.docker, pytest.mark.timeout(240)]


def test_a_desk_that_is_gone_is_said_so(hub: Hub, alice: Browser) -> None:
    os.kill(hub.desk_process(), 9)
    assert "desk" in alice.fetch("GET", CONTAINERS, 503)["message"]
