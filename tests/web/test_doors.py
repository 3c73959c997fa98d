"""Where a container is reached, and that a browser's words have no part in it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from jupyter_ext.containers.docker_address import EngineAddress
from jupyter_ext.containers.doors import reached
from jupyter_ext.errors import Unavailable

ANYWHERE = "0.0.0.0"  # noqa: S104 - read, not bound to


def reached_at(url: str, bound: str) -> str:
    address = EngineAddress(url)
    driver: Any = SimpleNamespace(local=address.local, link=SimpleNamespace(address=address))
    return reached(driver, bound, "web")


@pytest.mark.parametrize(
    ("url", "bound", "host"),
    [
        ("unix:///var/run/docker.sock", "127.0.0.1", "127.0.0.1"),
        ("unix:///var/run/docker.sock", "", "127.0.0.1"),
        ("unix:///var/run/docker.sock", ANYWHERE, "127.0.0.1"),
        ("unix:///var/run/docker.sock", "10.0.0.7", "10.0.0.7"),
        ("ssh://user@gpu2", ANYWHERE, "gpu2"),
        ("tcp://gpu2:2376", "10.0.0.7", "10.0.0.7"),
    ],
)
def test_it_is_where_the_engine_says(url: str, bound: str, host: str) -> None:
    assert reached_at(url, bound) == host


@pytest.mark.parametrize("bound", ["127.0.0.1", "::1", "127.5.0.1"])
def test_another_machines_loopback_is_not_taken_for_this_ones(bound: str) -> None:
    with pytest.raises(Unavailable, match="ContainerDefaults.bind_address"):
        reached_at("ssh://user@gpu2", bound)
