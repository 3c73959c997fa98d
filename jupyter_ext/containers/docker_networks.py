"""Networks that containers are in."""

from __future__ import annotations

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

    def find(client: EngineClient) -> None:
        client.get_json("/networks/{0}", name)

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

    try:
        await link.look(find, ("network", name))
    except NotFound:
        try:
            await link.act(make, ("network", name), link.deadline)
        except Conflict as error:
            # Somebody was faster, or the engine has no addresses left for another network.
            try:
                await link.look(find, ("network", name))
            except NotFound:
                raise error from None
