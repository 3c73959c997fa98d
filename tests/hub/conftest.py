"""A team's JupyterHub: the desk is its service, every user's server forwards to it.

The configuration is the one of docs/operators.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest

from ..browser.conftest import browser, jp_asyncio_loop, jp_server_cleanup
from ..engines.hub import Hub, jupyterhub
from ..engines.hub_browser import Browser
from .asking import CONTAINERS

__all__ = ["browser", "jp_asyncio_loop", "jp_server_cleanup"]


@pytest.fixture(scope="package")
def hub() -> Iterator[Hub]:
    with jupyterhub() as running:
        yield running


@pytest.fixture(scope="package")
def people(hub: Hub) -> Iterator[dict[str, Browser]]:
    """Alice and Bob, each with a server."""
    with ExitStack() as stack:
        found = {}
        for role, user in (("alice", hub.alice), ("bob", hub.bob)):
            found[role] = stack.enter_context(closing(Browser(hub, user.name)))
            found[role].start_server()
        for person in found.values():
            person.visit_server()
        yield found


@pytest.fixture(scope="package")
def alice(people: dict[str, Browser]) -> Browser:
    return people["alice"]


@pytest.fixture(scope="package")
def bob(people: dict[str, Browser]) -> Browser:
    return people["bob"]


@pytest.fixture(scope="package")
def boxes(alice: Browser, bob: Browser) -> dict[str, str]:
    """A container of each, made through their own server; the ids by name."""
    made = {}
    for person, name in ((alice, "hers"), (bob, "his")):
        body = {"name": name, "image": "busybox", "command": "sleep 1000"}
        made[name] = person.fetch("POST", CONTAINERS, json=body)["data"]["id"]
    return made
