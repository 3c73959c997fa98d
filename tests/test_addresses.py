"""Addresses that users name: which the server, or its engine, speaks to for them."""

from __future__ import annotations

import asyncio
import socket
import time
from typing import Any

import pytest

from jupyter_ext import addresses
from jupyter_ext.accounts.schemas import Account
from jupyter_ext.addresses import AddressGuard, split_place
from jupyter_ext.errors import Forbidden, NotFound, Unavailable

ADMIN = Account("user-1", "admin", "admin")
ALICE = Account("user-2", "alice", "user")
BOB = Account("user-3", "bob", "user")


@pytest.mark.parametrize(
    ("place", "kind"),
    [
        ("127.0.0.1", "loopback"),
        ("127.0.0.1:5000", "loopback"),
        ("127.9.9.9", "loopback"),
        ("localhost", "loopback"),
        ("LocalHost.:5000", "loopback"),
        # As the C library reads them.
        ("127.1", "loopback"),
        ("2130706433:80", "loopback"),
        ("0x7f000001", "loopback"),
        ("[::1]", "loopback"),
        ("[::1]:5000", "loopback"),
        ("::1", "loopback"),
        ("[::ffff:127.0.0.1]:80", "loopback"),
        ("[::127.0.0.1]", "loopback"),
        ("[64:ff9b::7f00:1]", "loopback"),
        ("[2002:7f00:1::1]", "loopback"),
        ("169.254.0.1", "link-local"),
        ("169.254.169.254", "link-local"),
        ("[fe80::1]", "link-local"),
        ("[::ffff:169.254.169.254]", "link-local"),
        ("100.100.100.200", "metadata"),
        ("168.63.129.16", "metadata"),
        ("[fd00:ec2::254]", "metadata"),
        ("0.0.0.0", "this machine"),  # noqa: S104
        ("0.1.2.3", "this machine"),
        ("[::]:5000", "this machine"),
        ("224.0.0.1", "multicast"),
        ("255.255.255.255", "multicast"),
        ("[ff02::1]", "multicast"),
    ],
)
async def test_what_users_may_not_name(place: str, kind: str) -> None:
    with pytest.raises(Forbidden, match="allowed_addresses") as caught:
        await AddressGuard().check(ALICE, place, "image")
    assert kind in caught.value.fields["image"]
    assert await AddressGuard().check(ADMIN, place, "image") == ()


@pytest.mark.parametrize(
    "place",
    ["10.0.0.1", "192.168.1.5:5000", "172.16.9.9", "100.64.0.1", "8.8.8.8", "[2001:db8::1]:443"],
)
async def test_networks_of_a_team_are_theirs(place: str) -> None:
    (found,) = await AddressGuard().check(ALICE, place, "image")
    assert str(found) == split_place(place)[0]


@pytest.mark.parametrize(
    ("entry", "place"),
    [
        ("127.0.0.1", "127.0.0.1:5000"),
        ("127.0.0.1:5000", "127.0.0.1:5000"),
        ("127.0.0.0/8", "127.1.2.3"),
        ("localhost", "localhost:80"),
        ("localhost", "LOCALHOST."),
        ("127.0.0.0/8", "127.1"),
        ("[::1]:5000", "[::1]:5000"),
        ("::1", "[::1]:80"),
        ("fe80::/10", "[fe80::5]"),
        # Not even resolved, for names that only a proxy knows.
        ("only.behind.a.proxy.invalid", "only.behind.a.proxy.invalid:443"),
    ],
)
async def test_what_an_administrator_allows(entry: str, place: str) -> None:
    guard = AddressGuard([entry])
    await guard.check(ALICE, place, "image")
    for other in ("127.0.0.2:81", "169.254.169.254"):
        if entry != "127.0.0.0/8" or not other.startswith("127"):
            with pytest.raises(Forbidden):
                await guard.check(ALICE, other, "image")
    guard.close()


async def test_another_port_is_not_allowed() -> None:
    guard = AddressGuard(["127.0.0.1:5000"])
    for place in ("127.0.0.1", "127.0.0.1:5001"):
        with pytest.raises(Forbidden):
            await guard.check(ALICE, place, "image")


@pytest.mark.parametrize("entry", ["", "http://x", "10.0.0.0/99", "a b", "*", "me@x", "x:y", "x:"])
def test_an_entry_that_means_nothing(entry: str) -> None:
    with pytest.raises(ValueError, match="is no host name"):
        AddressGuard([entry])


def answering(*addresses: str) -> Any:
    def getaddrinfo(host: str, port: Any, **more: Any) -> Any:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (text, 0)) for text in addresses]

    return getaddrinfo


async def test_one_bad_address_of_several_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", answering("8.8.8.8", "127.0.0.1"))
    with pytest.raises(Forbidden):
        await AddressGuard().check(ALICE, "two.example", "image")
    monkeypatch.setattr(socket, "getaddrinfo", answering("8.8.8.8", "9.9.9.9"))
    found = await AddressGuard().check(ALICE, "two.example", "image")
    assert [str(each) for each in found] == ["8.8.8.8", "9.9.9.9"]


async def test_a_name_that_nobody_has() -> None:
    with pytest.raises((NotFound, Unavailable), match="allowed_addresses"):
        await AddressGuard().check(ALICE, "nowhere.invalid", "image")
    with pytest.raises(NotFound):
        await AddressGuard().check(ALICE, f"{'x' * 70}.example", "image")


async def test_a_name_service_that_hangs_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "SECONDS", 0.1)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: time.sleep(0.5))
    begun = time.monotonic()
    guard = AddressGuard()
    for _ in range(2):
        with pytest.raises(Unavailable, match="name service"):
            await guard.check(ALICE, "slow.example", "image")
    assert time.monotonic() - begun < 0.4
    # Two threads of four are hers until they are free, and no more.
    with pytest.raises(Unavailable):
        await guard.check(ALICE, "another.example", "image")
    monkeypatch.setattr(socket, "getaddrinfo", answering("8.8.8.8"))
    assert await guard.check(BOB, "bobs.example", "image")
    monkeypatch.setattr(addresses, "SECONDS", 5.0)
    names = [f"{number}.example" for number in range(10)]
    assert all(await asyncio.gather(*(guard.check(ALICE, name, "image") for name in names)))
