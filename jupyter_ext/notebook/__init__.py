"""In the notebook: ``%container``, ``%gpu``, `ContainersPanel` and `GpusPanel`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from .gpu_panel import GpusPanel
    from .panel import ContainersPanel

__all__ = ["ContainersPanel", "GpusPanel", "load_ipython_extension", "unload_ipython_extension"]


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Answer ``%load_ext jupyter_ext``: the magics and their completion."""
    from .completion import complete
    from .magics import ContainerMagics

    shell.register_magics(ContainerMagics(shell))
    ipython: Any = shell  # its methods have no types
    for key in ("%container", "%%container"):
        ipython.set_hook("complete_command", complete, str_key=key)
    ipython.push({"ContainersPanel": _containers, "GpusPanel": _gpus}, interactive=False)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Answer ``%unload_ext jupyter_ext``."""
    for kind in ("line", "cell"):
        for name in ("container", "gpu"):
            shell.magics_manager.magics[kind].pop(name, None)


def _containers(**options: Any) -> ContainersPanel:
    """Make a `ContainersPanel`, importing widgets when one is asked for."""
    from .panel import ContainersPanel

    return ContainersPanel(**options)


def _gpus(**options: Any) -> GpusPanel:
    """Make a `GpusPanel`, importing widgets when one is asked for."""
    from .gpu_panel import GpusPanel

    return GpusPanel(**options)


def __getattr__(name: str) -> Any:
    if name == "ContainersPanel":
        from .panel import ContainersPanel

        return ContainersPanel
    if name == "GpusPanel":
        from .gpu_panel import GpusPanel

        return GpusPanel
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
