"""A contents manager that has none."""

from __future__ import annotations

from typing import Any

from jupyter_server.services.contents.manager import ContentsManager


class NoFiles(ContentsManager):
    """Serves no file, and adds no handler that would."""

    def get_extra_handlers(self) -> list[Any]:
        """Return none: the default is a handler of ``/files``."""
        return []
