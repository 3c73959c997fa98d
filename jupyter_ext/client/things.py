"""What calls give back: JSON objects that are read as attributes or by key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


class Thing(dict[str, Any]):
    """A JSON object whose fields are attributes too: ``c.name`` and ``c["name"]``.

    A field that is called as a method of `dict` (``items``) is reached by key only.
    """

    def __init__(self, fields: Mapping[str, Any] | Iterable[tuple[str, Any]] = (), /) -> None:
        super().__init__((name, wrap(value)) for name, value in dict(fields).items())

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            known = ", ".join(sorted(self))
            raise AttributeError(f"No field {name!r} here, only: {known}") from None

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *(name for name in self if name.isidentifier())]


class Page(list[Thing]):
    """A part of a list, and how long the whole is.

    Parameters
    ----------
    total
        How many there are over all pages.
    """

    def __init__(self, items: Iterable[Thing] = (), total: int | None = None) -> None:
        super().__init__(items)
        self.total = len(self) if total is None else total


def wrap(value: Any) -> Any:
    """`value` with every JSON object in it as a `Thing`."""
    if isinstance(value, Thing):
        return value
    if isinstance(value, Mapping):
        return Thing(value)
    if isinstance(value, list):
        return [wrap(item) for item in value]
    return value


def page(value: Any) -> Page:
    """Return a `Page` of a list's reply, whatever the document calls the list."""
    if isinstance(value, Mapping):
        named = next((item for item in value.values() if isinstance(item, list)), [])
        total = value.get("total")
        return Page((Thing(item) for item in named), total if isinstance(total, int) else None)
    return Page(Thing(item) for item in value or ())
