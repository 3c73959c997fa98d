"""Several hosts on one machine: network namespaces on a switch, each with an address of its own.

The switch is a bridge in a namespace of its own: this machine's firewall, which an engine with
rules sets to drop what is forwarded, has no say in what hosts tell each other.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import random
import secrets
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Host:
    """A network of its own, reached through a cable that can be pulled.

    Attributes
    ----------
    address
        Its own.
    cable
        The near end, at the switch.
    switch
        The namespace that the switch is in.
    """

    name: str
    address: str
    cable: str
    switch: str

    def enter(self) -> tuple[str, ...]:
        """Words that a command begins with to run there."""
        # Not `ip netns exec`, which hides the control groups behind a new /sys.
        return ("nsenter", f"--net=/run/netns/{self.name}")

    @contextlib.contextmanager
    def unplugged(self) -> Iterator[None]:
        """Be reached by nobody within the block: no answer, and no refusal either."""
        ip("-n", self.switch, "link", "set", self.cable, "down")
        try:
            yield
        finally:
            self.plug_in()

    def plug_in(self) -> None:
        """Be reached again."""
        ip("-n", self.switch, "link", "set", self.cable, "up")


@contextlib.contextmanager
def network(count: int) -> Iterator[tuple[str, list[Host]]]:
    """Make a switch and hosts at it; yields this machine's own address there, and the hosts."""
    mark = secrets.token_hex(3)
    switch, own, subnet = f"jxs{mark}", f"jxn{mark}", free_subnet()
    near, *addresses = [str(address) for address in list(subnet.hosts())[: count + 1]]
    hosts = [
        Host(f"jxh{mark}-{number}", address, f"jxc{mark}{number}", switch)
        for number, address in enumerate(addresses)
    ]
    try:
        ip("netns", "add", switch)
        ip("-n", switch, "link", "add", "name", "switch", "type", "bridge")
        ip("-n", switch, "link", "set", "switch", "up")
        ip("link", "add", own, "type", "veth", "peer", "name", own, "netns", switch)
        ip("-n", switch, "link", "set", own, "master", "switch", "up")
        ip("addr", "add", f"{near}/{subnet.prefixlen}", "dev", own)
        ip("link", "set", own, "up")
        for host in hosts:
            ip("netns", "add", host.name)
            peer = ("peer", "name", "eth0", "netns", host.name)
            ip("-n", switch, "link", "add", host.cable, "type", "veth", *peer)
            ip("-n", switch, "link", "set", host.cable, "master", "switch", "up")
            ip("-n", host.name, "addr", "add", f"{host.address}/{subnet.prefixlen}", "dev", "eth0")
            ip("-n", host.name, "link", "set", "eth0", "up")
            ip("-n", host.name, "link", "set", "lo", "up")
            ip("-n", host.name, "route", "add", "default", "via", near)
        yield near, hosts
    finally:
        with contextlib.suppress(subprocess.CalledProcessError):
            ip("link", "delete", own)
        for name in (*(host.name for host in hosts), switch):
            with contextlib.suppress(subprocess.CalledProcessError):
                ip("netns", "delete", name)


def free_subnet() -> ipaddress.IPv4Network:
    """Find a subnet that nobody on this machine uses."""
    routes = json.loads(ip("-json", "-4", "route", "show", "table", "all"))
    taken = [
        ipaddress.IPv4Network(route["dst"], strict=False)
        for route in routes
        if "/" in route.get("dst", "")
    ]
    blocks = list(ipaddress.IPv4Network("10.192.0.0/12").subnets(new_prefix=28))
    random.shuffle(blocks)
    return next(block for block in blocks if not any(block.overlaps(t) for t in taken))


def ip(*words: str) -> str:
    """Run iproute2."""
    return subprocess.run(
        ["ip", *words], check=True, capture_output=True, text=True, timeout=10
    ).stdout
