"""Tokens: only what this store has signed, for what it was made for, while its login lives."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Iterator
from typing import Any

import jwt
import pytest

from jupyter_ext.accounts.manager import AccountManager
from jupyter_ext.accounts.schemas import Account
from jupyter_ext.accounts.sessions import Sessions
from jupyter_ext.accounts.tokens import ALGORITHM
from jupyter_ext.errors import Unauthenticated
from jupyter_ext.store import Store

from ..engines.stores import QuickPasswords
from ..store.test_database import reopened

HOUR = 3600


class Desk:
    """Logins of one administrator."""

    def __init__(self, store: Store) -> None:
        self.accounts = AccountManager(
            store, admin_password="correct horse", passwords=QuickPasswords()
        )
        self.sessions = Sessions(store)
        self.admin: Account
        self.login: tuple[str, int]

    async def arrive(self) -> None:
        await self.accounts.start()
        self.admin = await self.accounts.owner()
        self.login = await self.sessions.begin(self.admin, "pair", "127.0.0.1", HOUR)

    async def token(self, kind: Any = "access", lifetime: float = HOUR) -> str:
        return await self.sessions.token(kind, self.admin, self.login, lifetime)

    @property
    def key(self) -> bytes:
        return self.sessions._tokens._key

    async def forged(
        self, *, key: bytes | None = None, algorithm: str = ALGORITHM, **changes: Any
    ) -> str:
        """A token with other claims; None takes one away."""
        claims = jwt.decode(await self.token(), options={"verify_signature": False})
        claims |= changes
        claims = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(claims, self.key if key is None else key, algorithm=algorithm)


@pytest.fixture
def desk(store: Store, jp_asyncio_loop: asyncio.AbstractEventLoop) -> Iterator[Desk]:
    desk = Desk(store)
    jp_asyncio_loop.run_until_complete(desk.arrive())
    yield desk
    jp_asyncio_loop.run_until_complete(desk.accounts.stop())


def part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


async def test_a_token_opens_what_its_account_may_do(desk: Desk) -> None:
    token = await desk.token()
    assert token.startswith("eyJhbGciOiJIUzI1NiIs")
    credential = await desk.sessions.verify(token, "access")
    assert (credential.account, credential.kind, credential.limited) == (desk.admin, "jwt", True)
    # What a header proved proves nothing in a cookie.
    assert desk.sessions.verify_cached(token, "cookie") is None


async def test_a_token_without_signature_is_none(desk: Desk) -> None:
    payload = (await desk.token()).split(".")[1]
    for name in ("none", "None", "NONE", ""):
        for signature in ("", part({})):
            with pytest.raises(Unauthenticated):
                await desk.sessions.verify(f"{part({'alg': name})}.{payload}.{signature}", "access")


async def test_another_algorithm_is_refused_even_with_the_key(desk: Desk) -> None:
    assert (await desk.sessions.verify(await desk.forged(), "access")).account == desk.admin
    for algorithm in ("HS384", "HS512"):
        with pytest.raises(Unauthenticated):
            await desk.sessions.verify(await desk.forged(algorithm=algorithm), "access")


async def test_a_swapped_header_is_refused(desk: Desk) -> None:
    _, payload, signature = (await desk.token()).split(".")
    headers: list[Any] = [
        {"alg": "RS256", "typ": "JWT"},
        {"alg": "HS256", "jwk": {"kty": "oct", "k": ""}},
        {"alg": "HS256", "kid": "../../dev/null"},
        [],
        "HS256",
    ]
    for header in headers:
        with pytest.raises(Unauthenticated):
            await desk.sessions.verify(f"{part(header)}.{payload}.{signature}", "access")


async def test_another_key_or_issuer_is_refused(desk: Desk) -> None:
    with pytest.raises(Unauthenticated):
        await desk.sessions.verify(await desk.forged(key=b"k" * 64), "access")
    for issuer in ("somebody", f"{desk.sessions._tokens._issuer}/", None):
        with pytest.raises(Unauthenticated):
            await desk.sessions.verify(await desk.forged(iss=issuer), "access")


async def test_a_clock_out_of_range_is_refused(desk: Desk) -> None:
    now = int(time.time())
    # 15 seconds are more than the clocks of two servers may differ.
    moves: list[dict[str, Any]] = [
        {"exp": now - 15},
        {"exp": now - HOUR},
        {"nbf": now + 15},
        {"nbf": now + HOUR},
        {"iat": now + 15},
        {"iat": now + HOUR},
    ]
    for moved in moves:
        with pytest.raises(Unauthenticated):
            await desk.sessions.verify(await desk.forged(**moved), "access")


async def test_every_claim_is_needed(desk: Desk) -> None:
    for name in ("iss", "sub", "sid", "gen", "typ", "iat", "nbf", "exp"):
        absent: dict[str, Any] = {name: None}
        with pytest.raises(Unauthenticated):
            await desk.sessions.verify(await desk.forged(**absent), "access")


async def test_claims_of_another_kind_are_refused(desk: Desk) -> None:
    odd: list[dict[str, Any]] = [
        {"exp": "soon"},
        {"exp": 1e400},
        {"sid": ["a"]},
        {"sid": "\0"},
        {"gen": "1"},
        {"gen": 1 << 80},
        {"sub": {"a": 1}},
        {"sub": "user-999"},
        {"typ": ["access"]},
    ]
    for changes in odd:
        with pytest.raises(Unauthenticated):
            await desk.sessions.verify(await desk.forged(**changes), "access")


async def test_a_token_serves_what_it_was_made_for(desk: Desk) -> None:
    kinds = ("access", "refresh", "cookie")
    for made in kinds:
        for asked in kinds:
            if made != asked:
                with pytest.raises(Unauthenticated):
                    await desk.sessions.verify(await desk.token(made), asked)  # type: ignore[arg-type]
    with pytest.raises(Unauthenticated):
        await desk.sessions.renew(await desk.token("access"), "refresh", HOUR)


async def test_what_is_no_token_is_refused(desk: Desk) -> None:
    for text in ("", ".", "..", "a.b.c", "eyJ.eyJ.", "eyJ" + "x" * 9000 + ".a.b"):
        with pytest.raises(Unauthenticated):
            await desk.sessions.verify(text, "access")


async def test_a_remembered_token_expires(desk: Desk) -> None:
    token = await desk.token(lifetime=1)
    assert (await desk.sessions.verify(token, "access")).account == desk.admin
    await asyncio.sleep(1.1)
    assert desk.sessions.verify_cached(token, "access") is None


async def test_refreshing_spends_all_that_was_before(desk: Desk) -> None:
    access, refresh = await desk.token(), await desk.token("refresh")
    await desk.sessions.verify(access, "access")
    _, account, login = await desk.sessions.renew(refresh, "refresh", HOUR)
    assert account == desk.admin
    with pytest.raises(Unauthenticated):
        await desk.sessions.verify(access, "access")
    desk.login = login
    assert (await desk.sessions.verify(await desk.token(), "access")).account == desk.admin


async def test_a_spent_token_ends_the_whole_login(desk: Desk) -> None:
    refresh = await desk.token("refresh")
    _, _, desk.login = await desk.sessions.renew(refresh, "refresh", HOUR)
    second = await desk.token(), await desk.token("refresh")
    await desk.sessions.verify(second[0], "access")
    with pytest.raises(Unauthenticated, match="used before"):
        await desk.sessions.renew(refresh, "refresh", HOUR)
    with pytest.raises(Unauthenticated):
        await desk.sessions.verify(second[0], "access")
    with pytest.raises(Unauthenticated, match="ended"):
        await desk.sessions.renew(second[1], "refresh", HOUR)


async def test_of_two_at_once_one_is_refreshed(desk: Desk) -> None:
    refresh = await desk.token("refresh")
    outcomes = await asyncio.gather(
        *(desk.sessions.renew(refresh, "refresh", HOUR) for _ in range(5)), return_exceptions=True
    )
    assert [type(each) for each in outcomes].count(Unauthenticated) == 4


async def test_an_ended_login_is_ended_everywhere_within_a_second(desk: Desk, store: Store) -> None:
    far = await reopened(store)
    other = Sessions(far)
    try:
        token = await desk.token()
        assert (await other.verify(token, "access")).account == desk.admin
        await desk.sessions.end(token, "access")
        with pytest.raises(Unauthenticated):
            await desk.sessions.verify(token, "access")
        await asyncio.sleep(1)
        with pytest.raises(Unauthenticated):
            await other.verify(token, "access")
    finally:
        await far.close()


async def test_servers_of_one_store_share_the_key_and_others_do_not(
    desk: Desk, store: Store
) -> None:
    await desk.token()
    async with store.read() as session:
        found = await session.connection()
        rows = await found.exec_driver_sql("SELECT value FROM store_facts")
        values = [row[0] for row in rows]
    assert values
    assert not any(base64.urlsafe_b64encode(desk.key).decode() in value for value in values)


async def test_an_account_has_so_many_logins(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jupyter_ext.accounts.sessions.PER_ACCOUNT", 3)
    first = await desk.token()
    for _ in range(3):
        desk.login = await desk.sessions.begin(desk.admin, "pair", "127.0.0.1", HOUR)
    with pytest.raises(Unauthenticated):
        await desk.sessions.verify(first, "access")
    assert (await desk.sessions.verify(await desk.token(), "access")).account == desk.admin
