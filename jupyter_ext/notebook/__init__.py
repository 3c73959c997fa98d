"""In the notebook: magics, and the panels as widgets."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from .database_panel import DatabasesPanel
    from .gpu_panel import GpusPanel
    from .panel import ContainersPanel
    from .time_travel import TimeTravel

__all__ = [
    "ContainersPanel",
    "DatabasesPanel",
    "GpusPanel",
    "TimeTravel",
    "load_ipython_extension",
    "unload_ipython_extension",
]

_WIDGETS = {
    "ContainersPanel": "panel",
    "DatabasesPanel": "database_panel",
    "GpusPanel": "gpu_panel",
    "TimeTravel": "time_travel",
}


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Answer ``%load_ext jupyter_ext``: the magics and their completion."""
    from .completion import complete
    from .magics import ContainerMagics

    shell.register_magics(ContainerMagics(shell))
    ipython: Any = shell  # its methods have no types
    for key in ("%container", "%%container", "%database", "%backup", "%snapshot"):
        ipython.set_hook("complete_command", complete, str_key=key)
    ipython.push({name: _maker(name) for name in _WIDGETS}, interactive=False)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Answer ``%unload_ext jupyter_ext``."""
    for kind in ("line", "cell"):
        for name in ("container", "gpu", "image", "database", "backup", "snapshot"):
            shell.magics_manager.magics[kind].pop(name, None)


def _maker(name: str) -> Callable[..., Any]:
    """Return what makes a widget, importing widgets when one is asked for."""

    def make(**options: Any) -> Any:
        return __getattr__(name)(**options)

    make.__name__ = name
    return make


def __getattr__(name: str) -> Any:
    if name in _WIDGETS:
        return getattr(import_module(f".{_WIDGETS[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
