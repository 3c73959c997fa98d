"""``jupyter ext serve``: the desk of a team, a Jupyter server that runs nobody's code."""

from __future__ import annotations

from typing import Any

from jupyter_server.serverapp import ServerApp
from traitlets import default

from .no_files import NoFiles


class DeskServer(ServerApp):
    """A Jupyter server with its login and this extension; nothing executes or reads files."""

    default_services = ("api", "auth", "security", "shutdown")  # type: ignore[assignment]

    @default("jpserver_extensions")
    def _default_extensions(self) -> dict[str, bool]:
        return {"jupyter_ext": True}

    @default("contents_manager_class")
    def _default_contents(self) -> type[NoFiles]:
        return NoFiles

    @default("default_url")
    def _default_page(self) -> str:
        return "/api/v1/docs"

    @default("open_browser")
    def _default_open_browser(self) -> bool:
        return False

    def initialize(  # type: ignore[override]
        self, argv: list[str] | None = None, **_: Any
    ) -> None:
        """Load this extension and no other."""
        super().initialize(argv, find_extensions=False)


def serve(argv: list[str] | None = None) -> None:
    """Run until it is stopped.

    Parameters
    ----------
    argv
        As for ``jupyter server``: ``--port``, ``--ip``, ``--JupyterExt.store_url``.
    """
    DeskServer.launch_instance(argv)
