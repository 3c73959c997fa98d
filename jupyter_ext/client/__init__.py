"""The Python SDK: `Client` and `AsyncClient` over one description of the calls.

>>> from jupyter_ext.client import Client
>>> with Client() as client:
...     client.images.pull("busybox")
...     web = client.containers.create(name="web", image="busybox", command=["sleep", "600"])
...     print(web.status, web["id"])

Inside a notebook, and in a shell of the machine that runs the server, the server is found by
itself; see `jupyter_ext.client.discovery`.
What goes wrong is raised as the tree in `jupyter_ext.errors`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .aio import AsyncClient
    from .discovery import Server, find_server
    from .replies import OperationCancelled
    from .sync import Client
    from .things import Page, Thing

__all__ = [
    "AsyncClient",
    "Client",
    "OperationCancelled",
    "Page",
    "Server",
    "Thing",
    "find_server",
]

_HOMES = {
    "AsyncClient": "aio",
    "Client": "sync",
    "OperationCancelled": "replies",
    "Page": "things",
    "Server": "discovery",
    "Thing": "things",
    "find_server": "discovery",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for: showing help needs no HTTP."""
    if name in _HOMES:
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
