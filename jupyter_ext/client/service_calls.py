"""The calls about services."""

from __future__ import annotations

from datetime import datetime, timedelta

from .call import Call, path, thing
from .replies import bare
from .things import Page, Thing, page


def service_list() -> Call[Page]:
    """List the services and how they are."""
    return Call("GET", path("services"), bare, page)


def service_start(name: str) -> Call[Thing]:
    """Start a service; one that runs goes on as it is."""
    return Call("POST", path("services", name, "start"), bare, thing)


def service_stop(name: str) -> Call[Thing]:
    """Stop a service; ``jupyter`` is the server itself, which answers first."""
    return Call("POST", path("services", name, "stop"), bare, thing)


def service_restart(name: str) -> Call[Thing]:
    """Restart a service; ``jupyter`` comes back with its port and token, without its kernels."""
    return Call("POST", path("services", name, "restart"), bare, thing)


def service_open(name: str) -> Call[Thing]:
    """Make a link to a service's page that works once: `url`."""
    return Call("POST", path("services", name, "open"), bare, thing, body={})


def service_logs(
    name: str, *, tail: int | None = None, since: datetime | timedelta | None = None
) -> Call[list[str]]:
    """Return the end of a service's log.

    Parameters
    ----------
    tail
        The last lines, so many.
    since
        Of this moment and later, or of so long ago.
    """
    query = {"tail": tail, "since": since}
    return Call("GET", path("services", name, "logs"), bare, lambda reply: reply["lines"], query)
