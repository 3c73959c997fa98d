"""How many requests pass, by dialect and by whom."""

from __future__ import annotations

import time

import httpx
import pytest

from jupyter_ext.accounts.schemas import Account, Credential
from jupyter_ext.accounts.throttle import LoginThrottle
from jupyter_ext.api.admission import anonymous
from jupyter_ext.api.dialects import CONTAINERS, DIALECTS, METADATA, PIGLET, VOIDVM
from jupyter_ext.api.limits import RateLimiter
from jupyter_ext.errors import RateLimited

from .conftest import browser, user_key

ACCOUNT = Account("user-1", "admin", "admin")


def credential(name="key:1", *, limited=True):
    return Credential(id=name, kind="api-key", account=ACCOUNT, limited=limited)


async def passed(limiter, dialect, count, who="key:1", address="1.1.1.1"):
    results = [await limiter.hit(dialect, credential(who), address) for _ in range(count)]
    return sum(result.passes for result in results), results


@pytest.mark.parametrize(
    ("dialect", "shown", "really"),
    [(PIGLET, 100, 120), (VOIDVM, 100, 100), (CONTAINERS, 100, 100), (METADATA, 100, 100)],
    ids=lambda value: getattr(value, "name", value),
)
async def test_the_documented_limits(dialect, shown, really):
    limiter = RateLimiter({}, "memory://", DIALECTS)
    count, results = await passed(limiter, dialect, really + 3)
    assert count == really
    assert {result.limit for result in results} == {shown}
    assert results[0].remaining == shown - 1
    assert results[-1].remaining == 0
    assert results[-1].retry_after >= 1


async def test_each_credential_is_counted_by_itself():
    limiter = RateLimiter({"piglet": {"amount": 1, "burst": 0}}, "memory://", DIALECTS)
    assert (await passed(limiter, PIGLET, 2))[0] == 1
    assert (await passed(limiter, PIGLET, 2, who="key:2"))[0] == 1
    assert (await passed(limiter, VOIDVM, 2))[0] == 2


async def test_metadata_counts_addresses():
    limiter = RateLimiter({"metadata": {"amount": 1}}, "memory://", DIALECTS)
    assert (await passed(limiter, METADATA, 2))[0] == 1
    assert (await passed(limiter, METADATA, 2, who="key:2"))[0] == 0
    assert (await passed(limiter, METADATA, 2, address="2.2.2.2"))[0] == 1


async def test_the_addresses_of_an_ipv6_network_count_as_one():
    limiter = RateLimiter({"metadata": {"amount": 1}}, "memory://", DIALECTS)
    assert (await passed(limiter, METADATA, 1, address="2001:db8:1:2::1"))[0] == 1
    assert (await passed(limiter, METADATA, 1, address="2001:db8:1:2:ffff::9"))[0] == 0
    assert (await passed(limiter, METADATA, 1, address="2001:db8:1:3::1"))[0] == 1
    nobody = anonymous("2001:db8:1:2::1"), anonymous("2001:db8:1:2::2")
    lefts = [await limiter.hit(PIGLET, who, who.id[3:]) for who in nobody]
    assert [left.remaining for left in lefts if left] == [99, 98]
    # An IPv4 address written as IPv6 is itself.
    assert (await passed(limiter, METADATA, 1, address="3.3.3.3"))[0] == 1
    assert (await passed(limiter, METADATA, 1, address="::ffff:3.3.3.3"))[0] == 0


async def test_wrong_passwords_from_an_ipv6_network_count_as_one():
    throttle = LoginThrottle(RateLimiter({}, "memory://", DIALECTS))
    for number in range(10):
        async with throttle.attempt(f"name{number}", f"2001:db8:1:2::{number}") as attempt:
            attempt.right = False
    with pytest.raises(RateLimited, match="your address"):
        async with throttle.attempt("another", "2001:db8:1:2::ffff"):
            pass
    async with throttle.attempt("another", "2001:db8:1:3::1"):
        pass


async def test_no_limit_where_there_is_none():
    limiter = RateLimiter({"piglet": {"amount": 0}}, "memory://", DIALECTS)
    assert await limiter.hit(PIGLET, credential(), "1.1.1.1") is None
    assert await limiter.hit(CONTAINERS, credential(limited=False), "1.1.1.1") is None


def test_over_http_with_headers_on_every_reply(limited):
    headers = {"X-API-Key": user_key(limited, "hasty")}
    with httpx.Client(base_url=limited.api, headers=headers, trust_env=False) as client:
        before = time.time()
        replies = [client.get("status") for _ in range(125)]
        codes = [reply.status_code for reply in replies]
        assert codes.count(200) == 120
        assert codes[-1] == 429
        first, last = replies[0], replies[-1]
        assert first.headers["X-RateLimit-Limit"] == "100"
        assert first.headers["X-RateLimit-Remaining"] == "99"
        assert before < int(first.headers["X-RateLimit-Reset"]) <= time.time() + 61
        assert last.headers["X-RateLimit-Remaining"] == "0"
        assert 1 <= int(last.headers["Retry-After"]) <= 60
        assert last.json()["error"]["code"] == "RATE_LIMITED"
        # Another dialect has its own.
        other = client.get("metrics/resources")
        assert other.status_code == 200
        assert other.headers["X-RateLimit-Limit"] == "100"


def test_jupyters_login_and_local_keys_have_no_limit(limited):
    with browser(limited) as client:
        replies = [client.get("api/v1/status") for _ in range(130)]
        assert {reply.status_code for reply in replies} == {200}
        assert "X-RateLimit-Limit" not in replies[-1].headers
    key = (limited.home / "token").read_text()
    replies = [
        httpx.get(limited.api + "/status", headers={"X-API-Key": key}, trust_env=False)
        for _ in range(3)
    ]
    assert "X-RateLimit-Limit" not in replies[-1].headers


def test_strangers_are_counted_by_address(limited):
    with httpx.Client(base_url=limited.api, trust_env=False) as client:
        codes = [client.get("status", headers={"X-API-Key": "x"}).status_code for _ in range(130)]
    assert codes[0] == 401
    assert codes[-1] == 429
