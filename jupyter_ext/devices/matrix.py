"""Devices in the words of dialect `matrix`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..accounts.schemas import Account
from ..errors import NotFound
from ..store.database import Store
from .ledger import DeviceLedger

MEGABYTE = 1 << 20
MILLI = 1000


class MatrixDevices:
    """Devices by their numbers.

    Parameters
    ----------
    address
        What a device's ports are bound to.
    """

    def __init__(self, store: Store, ledger: DeviceLedger, address: Callable[[int], str]) -> None:
        self._store = store
        self._ledger = ledger
        self._address = address

    async def list(self, caller: Account) -> dict[str, list[int]]:
        """The numbers of all devices: under ``cid``, as the document has it, and under ``did``."""
        async with self._store.read() as session:
            numbers = await self._ledger.devices(session)
        return {"cid": numbers, "did": numbers}

    async def facts(self, caller: Account, did: str) -> dict[str, Any]:
        """What a device has, and what of it running containers take.

        Raises
        ------
        NotFound
            There is no such device.
        """
        number = int(did) if did.isascii() and did.isdecimal() and len(did) < 10 else 0
        async with self._store.read() as session:
            device = await self._ledger.device(session, number)
            gpus, taken = await self._ledger.gpus(session)
        if device is None:
            raise NotFound("device", did)
        own = [gpu for gpu in gpus if gpu.device == number]
        return {
            "total_cpu": _cores(device.cpu_millis),
            "used_cpu": _cores(device.used_cpu_millis),
            "cpu_name": device.cpu_name,
            "total_memory": device.memory_bytes // MEGABYTE,
            "used_memory": device.used_memory_bytes // MEGABYTE,
            "gpus": [{"gid": gpu.gid, "gpu_type": gpu.model} for gpu in own],
            "gpu_used": [[gpu.gid] for gpu in own if taken[gpu.gid] or not gpu.free],
            "ip": self._address(number),
        }


def _cores(millis: int) -> int | float:
    return millis // MILLI if millis % MILLI == 0 else millis / MILLI
