"""Headers, queries and addresses between a browser and a container.

The container's server sees a visit to ``http://localhost:<its own port>``, which every server
accepts whatever names it thinks are its own, from a page of the same origin; the rest is said in
``X-Forwarded-…``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import unquote_plus, urlsplit

from ..api.hops import HOP_BY_HOP
from .cookies import from_container, to_container, with_cookie

Headers = Iterable[tuple[str, str]]

KEPT_BACK = HOP_BY_HOP | {
    "host",
    "cookie",
    "authorization",
    "x-xsrftoken",
    "x-api-key",
    "expect",
    "origin",
    "referer",
    # Who forwarded what to whom is said anew; what a proxy in front says of the visitor is not
    # for the container.
    "forwarded",
    "x-real-ip",
    "x-scheme",
    "remote-user",
    "x-remote-user",
}
KEPT_BACK_PREFIXES = ("x-forwarded-", "x-auth-request-", "sec-websocket-", "proxy-")
NOT_RETURNED = HOP_BY_HOP | {
    "alt-svc",
    "strict-transport-security",
    # Takes the cookies of all hosts of the domain away.
    "clear-site-data",
}
"""How this host is reached, and what others have, is not the container's to say."""


@dataclass(frozen=True, slots=True)
class Visit:
    """A request, as far as its headers are made of it.

    Parameters
    ----------
    origin
        The page's own in the browser, ``https://jupyter-1-….apps.example.org``.
    inside
        The port in the container.
    address
        The visitor's.
    password
        That the container was made with, where its server takes it as a token.
    cookie
        ``name=value`` by which its server knows this one.
    """

    origin: str
    inside: int
    address: str
    password: str | None = None
    cookie: str | None = None

    @property
    def upstream_origin(self) -> str:
        """The origin that the container sees."""
        return f"http://localhost:{self.inside}"


def to_upstream(headers: Headers, visit: Visit) -> list[tuple[str, str]]:
    """Return the headers that the container gets."""
    sent = list(headers)
    named = _named_by_connection(sent)
    kept = [
        (name, value)
        for name, value in sent
        if (lower := name.lower()) not in KEPT_BACK | named
        and not lower.startswith(KEPT_BACK_PREFIXES)
    ]
    first = {name.lower(): value for name, value in reversed(sent)}
    own = urlsplit(visit.origin)
    kept.append(("Host", f"localhost:{visit.inside}"))
    if "origin" in first:
        kept.append(("Origin", visit.upstream_origin))
    referer = first.get("referer", "")
    if referer == visit.origin or referer.startswith(f"{visit.origin}/"):
        kept.append(("Referer", visit.upstream_origin + referer.removeprefix(visit.origin)))
    cookie = to_container("; ".join(value for name, value in sent if name.lower() == "cookie"))
    if visit.cookie:
        cookie = with_cookie(cookie, visit.cookie)
    if cookie:
        kept.append(("Cookie", cookie))
    token = first.get("x-xsrftoken")
    if token and f"_xsrf={token}" in cookie.split("; "):
        # The page's own: it repeats a cookie of this host.
        kept.append(("X-XSRFToken", token))
    if visit.password:
        kept.append(("Authorization", f"token {visit.password}"))
    return [
        *kept,
        ("X-Forwarded-For", visit.address),
        ("X-Forwarded-Host", own.netloc),
        ("X-Forwarded-Proto", own.scheme),
    ]


def upstream_target(path: str, query: str) -> str:
    """Return the path and query that the container gets: as they came, but for ``token=``."""
    kept = "&".join(
        part for part in query.split("&") if unquote_plus(part.partition("=")[0]) != "token"
    )
    return f"{path or '/'}?{kept}" if kept else path or "/"


def to_browser(headers: Headers, visit: Visit, upstream: str) -> Iterator[tuple[str, str]]:
    """Yield the headers that the browser gets.

    Parameters
    ----------
    upstream
        Where the container was reached, ``127.0.0.1:20001``.
    """
    sent = list(headers)
    named = _named_by_connection(sent)
    for name, value in sent:
        lower = name.lower()
        if lower == "set-cookie":
            if cookie := from_container(value):
                yield name, cookie
        elif lower == "location":
            yield name, own_location(value, visit, upstream)
        elif lower not in NOT_RETURNED | named:
            yield name, value


def own_location(location: str, visit: Visit, upstream: str) -> str:
    """Return a redirect that leads to the container as one that leads to the page's origin."""
    try:
        parts = urlsplit(location)
    except ValueError:
        return location
    here = {upstream, f"localhost:{visit.inside}", f"127.0.0.1:{visit.inside}"}
    if parts.scheme not in ("", "http", "https") or parts.netloc.lower() not in here:
        return location
    rest = parts._replace(scheme="", netloc="").geturl()
    # A path that begins with two slashes would name another host.
    return f"{visit.origin}/{rest.lstrip('/')}"


def _named_by_connection(headers: Headers) -> set[str]:
    """Return the headers that belong to one connection (RFC 9110, section 7.6.1)."""
    return {
        part.strip().lower()
        for name, value in headers
        if name.lower() == "connection"
        for part in value.split(",")
    }
