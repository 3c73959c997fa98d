"""Whom an address is counted as."""

from __future__ import annotations

from ipaddress import IPv6Address, IPv6Network

PREFIX = 64
"""Bits of an IPv6 address that a network is given; whoever has it chooses the others freely."""


def counted_as(address: str) -> str:
    """Return what an address is counted as: an IPv6 address as its network.

    Otherwise whoever has one network, as every home has, would have what 2**64 addresses have.
    """
    if ":" not in address:
        return address
    try:
        found = IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(IPv6Network((found, PREFIX), strict=False))
