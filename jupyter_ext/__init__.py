"""Compute for everybody on a Jupyter server: entry points of Jupyter, JupyterLab and IPython."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    from .app import JupyterExt

    return [{"module": "jupyter_ext", "app": JupyterExt}]


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    return [{"src": "labextension", "dest": "jupyter-ext"}]


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Answer ``%load_ext jupyter_ext``."""
    from .notebook import load_ipython_extension as load

    load(shell)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Answer ``%unload_ext jupyter_ext``."""
    from .notebook import unload_ipython_extension as unload

    unload(shell)


__all__ = ["__version__", "load_ipython_extension", "unload_ipython_extension"]
