"""Devices for those who watch them: the list again, whenever something of it changed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Any

from ..accounts.schemas import Account
from ..errors import Unavailable
from .manager import DeviceManager

INTERVAL = 1.0
"""Seconds between two looks, while somebody watches.

How a device is comes from the store, from what its engine last said, and from the swarm, and only
some of it is announced: so it is looked at, and told where it differs.
"""


class DeviceFeed:
    """Shows devices as they change."""

    def __init__(self, devices: DeviceManager) -> None:
        self._devices = devices

    async def snapshot(self, caller: Account, data: Mapping[str, Any]) -> dict[str, Any]:
        """All devices, for a subscription."""
        return (await self._devices.list(caller)).model_dump()

    async def frames(
        self, caller: Account, data: Mapping[str, Any]
    ) -> AsyncIterator[dict[str, Any]]:
        """All devices again, whenever one changed; once at first, for what changed meanwhile."""
        told: dict[str, Any] | None = None
        while True:
            # A store that is away says nothing new.
            with suppress(Unavailable):
                now = await self.snapshot(caller, data)
                if now != told:
                    told = now
                    yield now
            await asyncio.sleep(INTERVAL)
