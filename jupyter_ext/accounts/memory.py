"""What was read from the store, until any server of it changes something."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from ..store.signals import Signals

K = TypeVar("K")
V = TypeVar("V")


class Memory(Generic[K, V]):
    """A dictionary that a signal empties.

    Parameters
    ----------
    topic
        The signal.
    limit
        Entries; beyond it the memory begins anew.
    """

    def __init__(self, signals: Signals, topic: str, limit: int = 10_000) -> None:
        self._known: dict[K, V] = {}
        self._limit = limit
        self.generation = 0
        """Grows with each change; read it before the store, and give it to `keep`."""
        signals.on_change(topic, self.clear)

    def get(self, key: K) -> V | None:
        """Return what is known."""
        return self._known.get(key)

    def keep(self, key: K, value: V, generation: int) -> None:
        """Remember what was read, unless something has changed since it was."""
        if generation != self.generation:
            return
        if len(self._known) >= self._limit:
            self._known.clear()
        self._known[key] = value

    def clear(self) -> None:
        """Forget everything."""
        self.generation += 1
        self._known.clear()
