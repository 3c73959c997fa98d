"""The origin of each page: a host name for each service of each container, and for the editor.

A name and not a port, since cookies don't know ports: on a shared name every page could read
Jupyter's ``_xsrf``, set cookies over those of others, and make browsers send them along. Names
below ``.localhost`` lead to the browser's own machine (RFC 6761, section 6.3) and share no cookies
with each other, as ``localhost`` is treated like a public suffix. Browsers elsewhere need names of
the operator's.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Literal, get_args
from urllib.parse import urlsplit

Service = Literal["jupyter", "tensorboard"]
"""Of a container."""

Room = Literal["vscode"]
"""A service of this server that has a page."""

LOCAL = "{name}.localhost"
_TEMPLATE = re.compile(r"https?://[a-z0-9.-]*\{name\}[a-z0-9.-]*(:[0-9]+)?/?")
_NAME = re.compile(
    rf"(?:(?P<service>{'|'.join(get_args(Service))})-(?P<cid>[1-9][0-9]{{0,14}})"
    rf"|(?P<room>{'|'.join(get_args(Room))}))-(?P<mark>[0-9a-f]{{8}})"
)


def template_problem(template: str) -> str | None:
    """Say what is wrong with a ``web_url``; None for a good one."""
    if not _TEMPLATE.fullmatch(template):
        return "is not of the form https://{name}.apps.example.org, without a path"
    host = urlsplit(template).hostname or ""
    if "{name}" not in host.partition(".")[0]:
        return "must have {name} in the first part of its host name"
    if "." not in host.strip("."):
        return "must have a domain behind {name}"
    return None


@dataclass(frozen=True, slots=True)
class Place:
    """What is served at one origin.

    Parameters
    ----------
    cid
        None for a service of this server.
    """

    cid: int | None
    service: Service | Room


class Names:
    """Host names of pages.

    Parameters
    ----------
    template
        ``https://{name}.apps.example.org``; empty for names below ``.localhost``.
    """

    def __init__(self, template: str = "") -> None:
        self.template = template.rstrip("/")
        host = urlsplit(self.template).hostname or LOCAL
        before, _, after = host.partition("{name}")
        self._pattern = re.compile(
            rf"{re.escape(before)}(?P<name>[a-z0-9-]{{1,63}}){re.escape(after)}"
        )

    @property
    def local(self) -> bool:
        """Whether only browsers on this machine, or with a tunnel to it, find the names."""
        return not self.template

    def url(self, place: Place, store_id: str, *, port: int, tls: bool) -> str:
        """Return an origin, without a last slash.

        Parameters
        ----------
        store_id
            Names of another store's containers are others, so that no worker that a page left in
            the browser waits for the next one of its number.
        port, tls
            Of the listener, where no template says them.
        """
        which = "" if place.cid is None else f"{place.cid}-"
        name = f"{place.service}-{which}{_mark(store_id)}"
        if self.template:
            return self.template.replace("{name}", name)
        return f"{'https' if tls else 'http'}://{LOCAL.replace('{name}', name)}:{port}"

    def read(self, host_name: str, store_id: str) -> Place | None:
        """Return what a host name stands for; None where it is none of ours."""
        found = self._pattern.fullmatch(host_name.lower().rstrip("."))
        named = _NAME.fullmatch(found["name"]) if found else None
        if named is None or named["mark"] != _mark(store_id):
            return None
        return place_of(int(named["cid"]) if named["cid"] else None, named["service"])


def place_of(cid: int | None, service: str | None) -> Place:
    """Return a place by what is written of it."""
    if cid is None:
        return Place(None, "vscode")
    return Place(cid, "jupyter" if service == "jupyter" else "tensorboard")


def _mark(store_id: str) -> str:
    return hashlib.sha256(f"pages of {store_id}".encode()).hexdigest()[:8]


def is_loopback(host: str) -> bool:
    """Whether a browser that reached a server by this name is on its machine, or tunnels to it."""
    name = host.lower().strip("[]").rstrip(".")
    return (
        name in ("localhost", "::1")
        or name.endswith(".localhost")
        or re.fullmatch(r"127(\.[0-9]{1,3}){3}", name) is not None
    )
