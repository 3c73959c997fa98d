"""Which GPUs a request gets: who came first, and the smallest that will do.

Nothing here waits or writes: it is given who waits and what is free, and says who gets what.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

TOLERANCE = 0.08
"""Of memory: a card that is sold as one of 24 GB tells its driver's user of 22.5 to 24.0 GiB."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU as whoever chooses sees it.

    Parameters
    ----------
    memory
        Bytes.
    slots
        Containers that may hold it at once; 1 is one alone.
    free
        How many of them are free.
    """

    gid: int
    device: int
    uuid: str
    model: str
    memory: int
    slots: int = 1
    free: int = 1


@dataclass(frozen=True, slots=True)
class Wish:
    """Which GPUs somebody wants.

    Parameters
    ----------
    gids
        These and no others; empty where any will do.
    count
        How many, where any will do.
    model
        A part of the model's name, in any case of letters.
    memory
        Bytes that each has at least.
    shared
        Places on GPUs that several containers share, in place of GPUs for oneself.
    devices
        Where the container can run; empty where it can everywhere.
    """

    gids: tuple[int, ...] = ()
    count: int = 1
    model: str = ""
    memory: int = 0
    shared: bool = False
    devices: tuple[int, ...] = ()

    @property
    def number(self) -> int:
        """How many GPUs it is for."""
        return len(self.gids) or self.count

    def fits(self, gpu: Gpu) -> bool:
        """Whether a GPU is one of those that would do, free or not."""
        if self.devices and gpu.device not in self.devices:
            return False
        if self.gids:
            return gpu.gid in self.gids
        return (
            (gpu.slots > 1) == self.shared
            and gpu.memory * (1 + TOLERANCE) >= self.memory
            and self.model.casefold() in gpu.model.casefold()
        )

    def kept(self) -> dict[str, Any]:
        """Return what the store keeps of it."""
        return {
            "gids": list(self.gids),
            "count": self.count,
            "model": self.model,
            "memory": self.memory,
            "shared": self.shared,
            "devices": list(self.devices),
        }

    @classmethod
    def read(cls, kept: Mapping[str, Any]) -> Wish:
        """Return what `kept` was made of."""
        return cls(**{**kept, "gids": tuple(kept["gids"]), "devices": tuple(kept["devices"])})


@dataclass(frozen=True, slots=True)
class Asked:
    """A request in the queue.

    Parameters
    ----------
    number
        Its place in the order of all that ever came.
    cpu, memory
        Thousandths of a processor and bytes that its container takes of the device.
    server
        The process that waits for it.
    """

    number: int
    cid: int
    wish: Wish
    cpu: int = 0
    memory: int = 0
    server: str = ""


class Round:
    """One look at who waits and what is free, in the order in which they came.

    Whoever still waits keeps every GPU that would do for them from those who came later: a request
    for four is not passed for ever by requests for one. Who wants something else entirely goes on.

    Parameters
    ----------
    sizes
        By device, the thousandths of a processor and the bytes that it has.
    rest
        Those of them that nothing takes; a device that is not among them takes nothing new now.
    """

    def __init__(
        self,
        gpus: Collection[Gpu],
        sizes: Mapping[int, tuple[int, int]],
        rest: Mapping[int, tuple[int, int]],
    ) -> None:
        self._gpus = gpus
        self._sizes = sizes
        self._rest = dict(rest)
        self._free = {gpu.gid: gpu.free for gpu in gpus if gpu.free}
        self._held_back: set[int] = set()

    def possible(self, asked: Asked) -> bool:
        """Whether a request could be granted if nobody had anything."""
        numbers = Counter(gpu.device for gpu in self._gpus if asked.wish.fits(gpu))
        return any(
            number >= asked.wish.number
            and asked.cpu <= self._sizes.get(device, (0, 0))[0]
            and asked.memory <= self._sizes.get(device, (0, 0))[1]
            for device, number in numbers.items()
        )

    @property
    def exhausted(self) -> bool:
        """Whether nothing is left that anybody who comes later could get."""
        return all(gid in self._held_back for gid in self._free)

    def offer(self, asked: Asked) -> tuple[Gpu, ...] | None:
        """Choose what the next in the order gets; None where they wait on."""
        fitting = [gpu for gpu in self._gpus if asked.wish.fits(gpu)]
        chosen = self._choose(asked, fitting)
        if chosen is None:
            # What went away may come back; nobody is kept waiting for it.
            if self.possible(asked):
                self._held_back.update(gpu.gid for gpu in fitting)
            return None
        for gpu in chosen:
            self._free[gpu.gid] -= 1
            if not self._free[gpu.gid]:
                del self._free[gpu.gid]
        cpu, memory = self._rest[chosen[0].device]
        self._rest[chosen[0].device] = (cpu - asked.cpu, memory - asked.memory)
        return chosen

    def room(self, device: int, asked: Asked) -> bool:
        """Whether a device has the processors and memory that a request takes."""
        if device not in self._rest:
            return False
        cpu, memory = self._rest[device]
        return asked.cpu <= max(cpu, 0) and asked.memory <= max(memory, 0)

    def _choose(self, asked: Asked, fitting: Iterable[Gpu]) -> tuple[Gpu, ...] | None:
        """Choose GPUs of one device, best fit.

        The smallest memory that will do, so that large ones stay for who needs them; of devices,
        the one with the fewest left over, so that whole hosts stay free; of shared ones, the
        fullest.
        """
        by_device: defaultdict[int, list[Gpu]] = defaultdict(list)
        for gpu in fitting:
            if gpu.gid in self._free and gpu.gid not in self._held_back:
                by_device[gpu.device].append(gpu)
        best: tuple[tuple[int, int, int], tuple[Gpu, ...]] | None = None
        for device, found in by_device.items():
            if len(found) < asked.wish.number or not self.room(device, asked):
                continue
            found.sort(key=lambda gpu: (gpu.memory, self._free[gpu.gid], gpu.gid))
            chosen = tuple(found[: asked.wish.number])
            cost = (sum(gpu.memory for gpu in chosen), len(found) - len(chosen), device)
            if best is None or cost < best[0]:
                best = cost, chosen
        return best[1] if best else None
