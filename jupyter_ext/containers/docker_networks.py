"""Networks that containers are in."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..errors import Conflict, NotFound
from .docker_link import EngineLink

if TYPE_CHECKING:
    from .docker_client import EngineClient

LABEL = "jupyter_ext.network"
"""Tells networks that were made here from those of others."""


async def ensure(link: EngineLink, name: str) -> None:
    """Make a bridge network where there is none of this name.

    The engine keeps what is in one bridge network apart from what is in another.
    """

    def make(client: EngineClient) -> None:
        client.post_json(
            "/networks/create",
            data={
                "Name": name,
                "Driver": "bridge",
                "CheckDuplicate": True,
                "Labels": {LABEL: name},
            },
        )

    await ensure_made(link, name, make)


def overlay_name(name: str) -> str:
    """Return what a network's counterpart over all nodes of a swarm is called.

    A swarm takes letters, digits and dashes only, 63 of them; the digits at the end keep names
    apart that look alike then.
    """
    plain = re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")[:40].rstrip("-")
    return f"{plain or 'network'}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"


async def ensure_made(
    link: EngineLink,
    name: str,
    make: Callable[[EngineClient], None],
    driver: str | None = None,
) -> None:
    """Have a network made where there is none of its name, whoever is faster.

    Parameters
    ----------
    driver
        What it must be of; whatever an operator made by hand where None.

    Raises
    ------
    Conflict
        There is one of another driver.
    """

    def find(client: EngineClient) -> str:
        return str(client.get_json("/networks/{0}", name).get("Driver"))

    try:
        found = await link.look(find, ("network", name))
    except NotFound:
        try:
            await link.act(make, ("network", name), link.deadline)
            return
        except Conflict as error:
            # Somebody was faster, or the engine has no addresses left for another network.
            try:
                found = await link.look(find, ("network", name))
            except NotFound:
                raise error from None
    if driver is not None and found != driver:
        raise Conflict(
            "network", name, f"There is a network {name} already, but it is {found}, not {driver}."
        )
