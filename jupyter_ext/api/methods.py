"""What one path answers, by method and by who asks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .authentication import sent_jwt
from .dialects import VOIDVM
from .route import Route

if TYPE_CHECKING:
    from tornado.httputil import HTTPServerRequest


@dataclass(frozen=True)
class Bound:
    """A route and the managers' methods that answer it."""

    route: Route
    call: Callable[..., Awaitable[Any]]
    begun: Callable[..., Awaitable[Any]] | None = None


class Methods:
    """What one path answers.

    A path that two documents have is answered as the one of machines has it for whoever comes with
    a JSON Web Token, valid or not, and as the other one for everybody else.
    """

    def __init__(self) -> None:
        self._all: dict[str, Bound] = {}
        self._with_token: dict[str, Bound] = {}

    def add(self, bound: Bound) -> None:
        """Take one more.

        Raises
        ------
        ValueError
            There is one already.
        """
        route = bound.route
        methods = self._all
        if route.method in methods and route.dialect is VOIDVM:
            methods = self._with_token
        if route.method in methods:
            raise ValueError(f"{route.method} {route.path} is in the table twice")
        methods[route.method] = bound

    def of(self, request: HTTPServerRequest) -> Mapping[str, Bound]:
        """Return what answers a request, by method."""
        if self._with_token and sent_jwt(request) is not None:
            return {**self._all, **self._with_token}
        return self._all
