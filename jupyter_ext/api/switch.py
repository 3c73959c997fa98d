"""Which handlers answer our paths now: those of the desk, or the one that forwards to it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from tornado.httputil import HTTPMessageDelegate, HTTPServerRequest
from tornado.routing import Router, URLSpec
from tornado.web import Application

Handler = tuple[str, type[Any], dict[str, Any]]
"""Pattern, class, arguments."""


class Switch(Router):
    """A router whose handlers can be exchanged while the server runs.

    Parameters
    ----------
    application
        Jupyter's.
    """

    # Jupyter looks at this of every registered handler, to warn of methods without authentication.
    # Ours are marked one by one; the router has none.
    SUPPORTED_METHODS: ClassVar[tuple[str, ...]] = ()

    def __init__(self, application: Application) -> None:
        self._application = application
        self._specs: list[URLSpec] = []

    def set(self, handlers: Iterable[Handler]) -> None:
        """Let these answer from the next request on.

        Parameters
        ----------
        handlers
            Pattern (base URL included), class and arguments; the first match wins.
        """
        self._specs = [URLSpec(pattern, kind, arguments) for pattern, kind, arguments in handlers]

    def find_handler(self, request: HTTPServerRequest, **_: Any) -> HTTPMessageDelegate | None:
        """Return what handles `request`; None leaves it to Jupyter."""
        for spec in self._specs:
            found = spec.matcher.match(request)
            if found is not None:
                return self._application.get_handler_delegate(
                    request, spec.handler_class, spec.kwargs, **found
                )
        return None
