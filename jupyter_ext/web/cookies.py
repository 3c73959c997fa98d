"""Cookies between a browser and a container: neither gets what is not its own.

A page's host name is its own, but cookies that are set for a domain above reach it, and a
container must not see them where they are known to be of Jupyter or of ours. Cookies of these names
that the container itself sets travel under others.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

SESSION = "jupyter_ext_page"
SECURE_SESSION = f"__Host-{SESSION}"
"""On https: no other host, and no page without TLS, can set a cookie of this name (RFC 6265bis)."""

MOVED = "jupyter_ext_of_page."
"""What the names begin with in the browser that would look like Jupyter's or ours."""

_RESERVED = re.compile(
    r"(?i)(__(Host|Secure)-)?(jupyter_ext_.*|username(-.*)?|user_token|jupyterhub-.*|jupyter-hub.*)"
)
MOST_SESSIONS = 4
"""Cookies of our name that are looked at: a page can add worthless ones, for some of its paths."""


def session_name(*, secure: bool) -> str:
    """Return the name of the cookie that opens a page."""
    return SECURE_SESSION if secure else SESSION


def sessions(header: str, *, secure: bool) -> list[str]:
    """Return the values of our cookie in a ``Cookie`` header."""
    wanted = session_name(secure=secure)
    return [value for name, value in _pairs(header) if name == wanted and value][:MOST_SESSIONS]


def to_container(header: str) -> str:
    """Return the ``Cookie`` header that the container gets; empty for none."""
    kept = []
    for name, value in _pairs(header):
        if name.startswith(MOVED):
            kept.append(f"{name.removeprefix(MOVED)}={value}")
        elif name and not _RESERVED.fullmatch(name):
            kept.append(f"{name}={value}")
    return "; ".join(kept)


def with_cookie(header: str, cookie: str) -> str:
    """Return a ``Cookie`` header with one more, in place of those of its name."""
    name = cookie.partition("=")[0]
    kept = [f"{each}={value}" for each, value in _pairs(header) if each != name]
    return "; ".join([cookie, *kept])


def from_container(header: str) -> str | None:
    """Return a ``Set-Cookie`` of the container as the browser gets it; None where it gets none.

    It is for this host alone: without ``Domain`` no other one is ever sent it (RFC 6265, section
    5.3).
    """
    pair, *attributes = header.split(";")
    name, equals, value = pair.partition("=")
    name = name.strip()
    if not equals or not name:
        # Browsers send a cookie without a name as its value, which may read like another cookie.
        return None
    if _RESERVED.fullmatch(name) or name.startswith(MOVED):
        name = MOVED + name
    kept = [part for part in attributes if part.partition("=")[0].strip().lower() != "domain"]
    return ";".join([f"{name}={value}", *kept])


def _pairs(header: str) -> Iterator[tuple[str, str]]:
    for part in header.split(";"):
        name, equals, value = part.strip().partition("=")
        if equals:
            yield name.strip(), value.strip()
