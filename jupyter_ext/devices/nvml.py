"""The GPUs of this machine, as NVIDIA's management library tells of them.

The library blocks, and may for long where a card has fallen off its bus: it is asked in a thread of
its own, with a deadline. It is loaded when it is first asked for; where there is none, there are
no GPUs.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from ..errors import Unavailable
from .inventory import Found
from .threads import in_a_thread

T = TypeVar("T")

DEADLINE = 5.0
"""Seconds."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reading:
    """How busy a GPU is; what its driver does not tell is None.

    Parameters
    ----------
    utilization
        Per cent of the last moment in which it computed.
    memory_used
        Bytes.
    temperature
        Degrees Celsius.
    power
        Watts.
    processes
        Bytes of its memory by the process's number on the host.
    """

    utilization: int | None = None
    memory_used: int | None = None
    temperature: int | None = None
    power: float | None = None
    processes: Mapping[int, int] = field(default_factory=dict)


class Nvml:
    """NVML, asked from one thread."""

    def __init__(self) -> None:
        self._library: Any = None
        self._asking: asyncio.Future[Any] | None = None

    async def found(self) -> list[Found]:
        """Return the machine's GPUs; of a card that MIG cut, its slices in its place.

        Raises
        ------
        Unavailable
            The driver does not answer.
        """
        return await self._ask(self._find)

    async def readings(self) -> dict[str, Reading]:
        """Return by UUID how busy each GPU is.

        Raises
        ------
        Unavailable
            The driver does not answer.
        """
        return await self._ask(self._read)

    def close(self) -> None:
        """Ask no more; a thread that waits for the driver ends with the process."""

    async def _ask(self, work: Callable[[], T]) -> T:
        if self._asking is not None and not self._asking.done():
            raise self._gone("it has not answered the last question yet")
        self._asking = in_a_thread(partial(self._safely, work), "jupyter_ext-nvml")
        try:
            async with asyncio.timeout(DEADLINE):
                result: T = await asyncio.shield(self._asking)
                return result
        except TimeoutError:
            raise self._gone(f"it does not answer within {DEADLINE:g} s") from None

    def _safely(self, work: Callable[[], T]) -> T:
        nvml = self._load()
        if nvml is None:
            return work()
        try:
            return work()
        except nvml.NVMLError as error:
            # The driver may have been renewed under it; the next question loads it anew.
            with suppress(nvml.NVMLError):
                nvml.nvmlShutdown()
            self._library = None
            raise self._gone(str(error)) from None

    def _load(self) -> Any:
        """Return the library, None where this machine has none."""
        if self._library is None:
            import pynvml

            try:
                pynvml.nvmlInit()
            except (
                pynvml.NVMLError_LibraryNotFound,
                pynvml.NVMLError_DriverNotLoaded,
                pynvml.NVMLError_NoPermission,
            ) as error:
                _log.debug("No GPUs here: %s", error)
                return None
            except pynvml.NVMLError as error:
                # A driver that is being renewed, say: nobody knows which GPUs there are.
                raise self._gone(str(error)) from None
            self._library = pynvml
        return self._library

    def _find(self) -> list[Found]:
        return [
            Found(
                _text(self._library.nvmlDeviceGetUUID(handle)),
                _text(self._library.nvmlDeviceGetName(handle)),
                int(self._library.nvmlDeviceGetMemoryInfo(handle).total),
                parent,
            )
            for handle, parent in self._handles()
        ]

    def _handles(self) -> list[tuple[Any, str | None]]:
        """Return the handle of each GPU, and the card's UUID where it is a slice."""
        nvml, handles = self._library, list[tuple[Any, str | None]]()
        if nvml is None:
            return handles
        for index in range(nvml.nvmlDeviceGetCount()):
            card = nvml.nvmlDeviceGetHandleByIndex(index)
            slices = self._slices(card)
            if slices is None:
                handles.append((card, None))
            else:
                uuid = _text(nvml.nvmlDeviceGetUUID(card))
                handles += [(each, uuid) for each in slices]
        return handles

    def _slices(self, card: Any) -> list[Any] | None:
        """Return the slices that MIG cut a card into, None where it is whole."""
        nvml = self._library
        try:
            if nvml.nvmlDeviceGetMigMode(card)[0] != nvml.NVML_DEVICE_MIG_ENABLE:
                return None
            number = nvml.nvmlDeviceGetMaxMigDeviceCount(card)
        except nvml.NVMLError:
            # Most cards know nothing of it.
            return None
        found = []
        for index in range(number):
            with suppress(nvml.NVMLError):
                found.append(nvml.nvmlDeviceGetMigDeviceHandleByIndex(card, index))
        return found

    def _read(self) -> dict[str, Reading]:
        nvml = self._library
        return {
            _text(nvml.nvmlDeviceGetUUID(handle)): Reading(
                self._told(lambda each: int(nvml.nvmlDeviceGetUtilizationRates(each).gpu), handle),
                self._told(lambda each: int(nvml.nvmlDeviceGetMemoryInfo(each).used), handle),
                self._told(
                    lambda each: int(
                        nvml.nvmlDeviceGetTemperature(each, nvml.NVML_TEMPERATURE_GPU)
                    ),
                    handle,
                ),
                self._told(lambda each: nvml.nvmlDeviceGetPowerUsage(each) / 1000, handle),
                self._told(self._processes, handle) or {},
            )
            for handle, _ in self._handles()
        }

    def _processes(self, handle: Any) -> dict[int, int]:
        running = self._library.nvmlDeviceGetComputeRunningProcesses(handle)
        return {int(each.pid): int(each.usedGpuMemory or 0) for each in running}

    def _told(self, ask: Callable[[Any], T], handle: Any) -> T | None:
        """Ask for one thing; slices and old cards don't tell everything."""
        try:
            return ask(handle)
        except self._library.NVMLError:
            return None

    @staticmethod
    def _gone(why: str) -> Unavailable:
        return Unavailable(
            f"The GPU driver of this machine can't be asked: {why}.",
            "`nvidia-smi` on the host says more.",
        )


def _text(value: str | bytes) -> str:
    """Return text; some versions of the library answer bytes."""
    return value.decode() if isinstance(value, bytes) else value
