"""The one guard of addresses that users name: registries now, sources and webhooks by and by.

Refused are loopback, link-local, unspecified and multicast addresses and the metadata services of
clouds, also where an IPv6 address wraps one of them: there the server (or the engine, which is
root) would speak for a user with who trusts it for where it is. Private networks are not refused:
registries, databases and webhooks of a team lie there, and a user's own container reaches them
without asking anybody, so a refusal would cost much and protect nothing.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import threading
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from .accounts.schemas import Account
from .errors import Forbidden, NotFound, Unavailable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

SECONDS = 5.0
"""That the name service may take."""

THREADS = 4
ASKED_AT_ONCE = 2
"""Names that an account may have looked up at a time: who serves names slowly takes no more."""
PAUSE = 0.02
"""Seconds between two looks at whether one of them was answered."""

# Those that are not link-local: Alibaba's, Azure's, Oracle's and, in IPv6, Amazon's and Google's.
_METADATA = frozenset(
    ipaddress.ip_address(text)
    for text in (
        *("100.100.100.200", "168.63.129.16", "192.0.0.192"),
        *("fd00:ec2::254", "fd20:ce::254"),
    )
)
# Translators (RFC 6052 and 8215) read an IPv4 address from the last bits of these; so did stacks
# that knew the "compatible" addresses of old.
_WRAPPING = tuple(
    ipaddress.IPv6Network(text) for text in ("64:ff9b::/96", "64:ff9b:1::/48", "::/96")
)
_THIS_NETWORK = ipaddress.IPv4Network("0.0.0.0/8")


@dataclass(frozen=True, slots=True)
class _Allowed:
    """An entry of the allow-list; `port` None is every port."""

    host: str | None
    network: Network | None
    port: int | None


class AddressGuard:
    """Says whether a user may have this server, or its engine, speak to a host.

    Parameters
    ----------
    allowed
        What is allowed all the same: host names, addresses and networks, each with a port or
        without (``registry.lan``, ``127.0.0.1:5000``, ``10.0.0.0/8``, ``[::1]:5000``).

    Raises
    ------
    ValueError
        An entry can't be read.
    """

    def __init__(self, allowed: Iterable[str] = ()) -> None:
        self._allowed = tuple(_entry(text) for text in allowed)
        self._threads: ThreadPoolExecutor | None = None
        self._asked: Counter[str] = Counter()
        self._counting = threading.Lock()

    async def check(self, account: Account, place: str, field: str) -> tuple[Address, ...]:
        """Resolve a host once, and refuse what an account may not name.

        Parameters
        ----------
        place
            A host or address, with a port or without.
        field
            Where the request names it, for the error.

        Returns
        -------
        tuple of addresses
            To connect to instead of the name, which may mean something else a moment later. Empty
            where the name itself is good: for an administrator, and where the name is allowed.

        Raises
        ------
        Forbidden
            The host has an address that is refused; one of several is enough.
        NotFound
            No address goes by this name.
        Unavailable
            The name service does not answer.
        """
        host, port = split_place(place)
        if account.is_admin or self._named(host, port):
            return ()
        found = await self._resolved(account, host)
        for address in found:
            kind = refused_kind(address)
            if kind is not None and not self._listed(address, port):
                raise Forbidden(
                    f"{place} is {kind}, which is not to be reached from here. Ask the "
                    "administrator to add it to JupyterExt.allowed_addresses.",
                    fields={field: f"is {kind}"},
                )
        return found

    def close(self) -> None:
        """Let the threads go."""
        threads, self._threads = self._threads, None
        if threads is not None:
            threads.shutdown(wait=False, cancel_futures=True)

    def _named(self, host: str, port: int | None) -> bool:
        return any(
            entry.host == host and entry.port in (None, port)
            for entry in self._allowed
            if entry.host is not None
        )

    def _listed(self, address: Address, port: int | None) -> bool:
        return any(
            address in entry.network and entry.port in (None, port)
            for entry in self._allowed
            if entry.network is not None
        )

    async def _resolved(self, account: Account, host: str) -> tuple[Address, ...]:
        try:
            return (ipaddress.ip_address(host),)
        except ValueError:
            pass
        try:
            async with asyncio.timeout(SECONDS):
                while self._asked[account.id] >= ASKED_AT_ONCE:
                    await asyncio.sleep(PAUSE)
                found = await asyncio.wrap_future(self._ask(account.id, host))
        except TimeoutError:
            raise _silent(host) from None
        except (OSError, UnicodeError) as error:
            if isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN:
                raise _silent(host) from None
            raise NotFound(
                "host",
                host,
                f"No address goes by the name {host} here. Check the name; one that only others "
                "can resolve, such as a proxy, has to be in JupyterExt.allowed_addresses.",
            ) from None
        texts = {str(sockaddr[0]).partition("%")[0] for *_, sockaddr in found}
        return tuple(sorted((ipaddress.ip_address(text) for text in texts), key=str))

    def _ask(self, account: str, host: str) -> Future[Any]:
        if self._threads is None:
            # Of its own: names that nobody serves must hold up neither files nor engines.
            self._threads = ThreadPoolExecutor(THREADS, "jupyter_ext-names")
        with self._counting:
            self._asked[account] += 1
        asking = self._threads.submit(socket.getaddrinfo, host, None, type=socket.SOCK_STREAM)
        # A question counts until its thread is free, also when nobody waits for it any more.
        asking.add_done_callback(lambda _: self._answered(account))
        return asking

    def _answered(self, account: str) -> None:
        with self._counting:
            self._asked[account] -= 1
            self._asked += Counter()


def refused_kind(address: Address) -> str | None:
    """What an address is that nobody may name unless it is allowed; None for all others."""
    inner = _unwrapped(address)
    if inner in _METADATA:
        return "an address of a cloud's metadata service"
    if inner.is_loopback:
        return "a loopback address"
    if inner.is_link_local:
        return "a link-local address"
    if inner.is_unspecified or inner in _THIS_NETWORK:
        return "an address that means this machine"
    if inner.is_multicast or inner == ipaddress.IPv4Address("255.255.255.255"):
        return "a multicast address"
    return None


def split_place(place: str) -> tuple[str, int | None]:
    """Take host and port apart; the host in lower case, without brackets and a last dot."""
    host, port = place, ""
    if place.startswith("["):
        host, _, rest = place[1:].partition("]")
        port = rest.removeprefix(":")
    elif place.count(":") == 1:
        host, _, port = place.partition(":")
    host = host.lower().rstrip(".")
    return host, int(port) if port.isascii() and port.isdecimal() else None


def _unwrapped(address: Address) -> Address:
    """The IPv4 address that an IPv6 one really leads to."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    inner = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
    if inner is None and any(address in network for network in _WRAPPING) and int(address) > 1:
        inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return inner or address


def _entry(text: str) -> _Allowed:
    try:
        return _Allowed(None, ipaddress.ip_network(text.strip(), strict=False), None)
    except ValueError:
        pass
    host, port = split_place(text.strip())
    try:
        return _Allowed(None, ipaddress.ip_network(host, strict=False), port)
    except ValueError:
        pass
    # A port that is none would silently be every port.
    wrong_port = port is None and ":" in text
    if not host or wrong_port or any(char in text for char in "/@ *[]"):
        raise ValueError(f"{text!r} is no host name, address or network")
    return _Allowed(host, None, port)


def _silent(host: str) -> Unavailable:
    return Unavailable(
        f"The name service does not say what {host} is.",
        "Try again; if this machine has none, have the administrator add the name to "
        "JupyterExt.allowed_addresses.",
    )
