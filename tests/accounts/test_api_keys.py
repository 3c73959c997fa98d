"""Keys: made, checked, used, revoked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from jupyter_ext.accounts import api_keys as module
from jupyter_ext.accounts.api_keys import ApiKeyManager
from jupyter_ext.accounts.departures import DepartureManager
from jupyter_ext.accounts.key_format import digest_of, new_key, well_formed
from jupyter_ext.accounts.manager import AccountManager
from jupyter_ext.accounts.permissions import allowed
from jupyter_ext.accounts.records import ApiKeyRecord, UserRecord
from jupyter_ext.accounts.schemas import (
    Account,
    ApiKeyQuery,
    Credential,
    NewApiKey,
    NewUser,
    UserDeletion,
)
from jupyter_ext.accounts.users import UserManager
from jupyter_ext.errors import Forbidden, InvalidRequest, NotFound, Unauthenticated
from jupyter_ext.store import Store

from ..engines.steps import at_once
from ..engines.stores import QuickPasswords, Told
from ..store.test_database import reopened


class People:
    """An administrator, two users and their keys."""

    def __init__(self, store: Store, bus: Told, accounts: AccountManager) -> None:
        self.accounts = accounts
        self.users = UserManager(store, bus, QuickPasswords(), "admin")
        self.departures = DepartureManager(store, bus, "admin")
        self.keys = ApiKeyManager(store)
        self.admin: Account
        self.alice: Account
        self.bob: Account

    async def arrive(self) -> None:
        await self.accounts.start()
        self.admin = await self.accounts.owner()
        for name in ("alice", "bob"):
            await self.users.create(self.admin, NewUser(username=name, password="123456"))
        self.alice = await self.accounts.by_name("alice")
        self.bob = await self.accounts.by_name("bob")


@pytest.fixture
def people(store: Store, bus: Told, jp_asyncio_loop: asyncio.AbstractEventLoop) -> Iterator[People]:
    accounts = AccountManager(store, admin_password="correct horse", passwords=QuickPasswords())
    people = People(store, bus, accounts)
    jp_asyncio_loop.run_until_complete(people.arrive())
    yield people
    jp_asyncio_loop.run_until_complete(people.keys.stop())
    jp_asyncio_loop.run_until_complete(people.accounts.stop())


async def test_a_key_opens_what_its_account_may_do(people: People) -> None:
    made = await people.keys.create(people.alice, NewApiKey(name="laptop"))
    assert made.key.startswith("jx_")
    assert made.key.startswith(made.hint)
    credential = await people.keys.verify(made.key)
    assert credential == Credential(f"key:{made.id}", "api-key", people.alice, limited=True)
    assert people.keys.verify_cached(made.key) is credential


async def test_only_its_hash_is_kept(people: People, store: Store) -> None:
    made = await people.keys.create(people.alice, NewApiKey(name="laptop"))
    async with store.read() as session:
        record = (await session.scalars(select(ApiKeyRecord))).one()
    kept = [str(value) for value in vars(record).values()]
    assert not any(made.key in text or made.key[10:] in text for text in kept)
    listed = await people.keys.list(people.alice, ApiKeyQuery())
    assert made.key not in repr(listed)


async def test_a_mistyped_key_is_refused_without_the_store(
    people: People, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = (await people.keys.create(people.alice, NewApiKey(name="laptop"))).key
    monkeypatch.setattr(store, "read", lambda: pytest.fail("the store was asked"))
    wrong = [key[:-1] + ("a" if key[-1] != "a" else "b"), key[:-1], key + "x", "jx_", "", "é", "x"]
    swapped = key[:5] + key[6] + key[5] + key[7:]
    for text in [*wrong, *([swapped] if swapped != key else []), key.upper(), f" {key}"]:
        assert people.keys.verify_cached(text) is None
        with pytest.raises(Unauthenticated):
            await people.keys.verify(text)


async def test_an_unknown_key_is_refused(people: People) -> None:
    with pytest.raises(Unauthenticated):
        await people.keys.verify(new_key())


async def test_a_revoked_key_is_dead_at_once_here_and_soon_elsewhere(
    people: People, store: Store
) -> None:
    made = await people.keys.create(people.alice, NewApiKey(name="laptop"))
    far = await reopened(store)
    other = ApiKeyManager(far)
    try:
        await other.verify(made.key)
        await people.keys.verify(made.key)
        await asyncio.sleep(0.6)
        await other.verify(made.key)
        assert other.verify_cached(made.key)
        began = time.monotonic()
        revoked = await people.keys.revoke(people.alice, made.id)
        assert revoked.model_dump() == {"id": made.id, "status": "revoked"}
        assert people.keys.verify_cached(made.key) is None
        with pytest.raises(Unauthenticated):
            await people.keys.verify(made.key)
        while other.verify_cached(made.key):
            await asyncio.sleep(0.01)
        assert time.monotonic() - began < 1
        with pytest.raises(Unauthenticated):
            await other.verify(made.key)
    finally:
        await far.close()


async def test_nobody_revokes_somebody_elses(people: People) -> None:
    made = await people.keys.create(people.alice, NewApiKey(name="laptop"))
    with pytest.raises(NotFound):
        await people.keys.revoke(people.bob, made.id)
    with pytest.raises(NotFound):
        await people.keys.revoke(people.alice, "key-unknown")
    await people.keys.verify(made.key)
    await people.keys.revoke(people.admin, made.id)


async def test_one_sees_ones_own_and_an_administrator_all(people: People) -> None:
    await people.keys.create(people.alice, NewApiKey(name="a1"))
    await people.keys.create(people.alice, NewApiKey(name="a2"))
    await people.keys.create(people.bob, NewApiKey(name="b1"))
    await people.keys.issue_local(people.alice, 60)
    mine = await people.keys.list(people.alice, ApiKeyQuery())
    assert [key.name for key in mine.items] == ["a2", "a1"]
    everybodys = await people.keys.list(people.admin, ApiKeyQuery(limit=2, offset=1))
    assert [(key.name, key.owner) for key in everybodys.items] == [("a2", "alice"), ("a1", "alice")]
    assert (everybodys.total, everybodys.name) == (3, "api_keys")


async def test_an_expired_key_opens_nothing_even_from_memory(people: People) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=0.4)
    made = await people.keys.create(people.alice, NewApiKey(name="short", expires_at=soon))
    await people.keys.verify(made.key)
    assert people.keys.verify_cached(made.key)
    await asyncio.sleep(0.5)
    assert people.keys.verify_cached(made.key) is None
    with pytest.raises(Unauthenticated):
        await people.keys.verify(made.key)


async def test_keys_die_with_their_user(people: People) -> None:
    made = await people.keys.create(people.alice, NewApiKey(name="laptop"))
    await people.keys.verify(made.key)
    await people.departures.delete(people.admin, "alice", UserDeletion())
    assert people.keys.verify_cached(made.key) is None
    with pytest.raises(Unauthenticated):
        await people.keys.verify(made.key)


async def test_a_disabled_accounts_keys_open_nothing(people: People, store: Store) -> None:
    made = await people.keys.create(people.alice, NewApiKey(name="laptop"))
    async with store.write() as session:
        await session.execute(
            update(UserRecord).where(UserRecord.id == people.alice.id).values(enabled=False)
        )
        await store.signals.raise_(session, "accounts")
    with pytest.raises(Unauthenticated, match="disabled"):
        await people.keys.verify(made.key)


async def test_the_last_use_is_shown_at_once_and_written_in_one_go(
    people: People, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [await people.keys.create(people.alice, NewApiKey(name=f"{n}")) for n in range(5)]
    began = datetime.now(UTC)
    for key in made[:3]:
        await people.keys.verify(key.key)
    shown = await people.keys.list(people.alice, ApiKeyQuery())
    assert [bool(key.last_used_at) for key in shown.items] == [False, False, True, True, True]
    writes = 0
    write = store.write

    def counted() -> object:
        nonlocal writes
        writes += 1
        return write()

    monkeypatch.setattr(store, "write", counted)
    await people.keys.flush()
    await people.keys.flush()
    assert writes == 1
    async with store.read() as session:
        used = list(
            await session.scalars(
                select(ApiKeyRecord.last_used_at).where(ApiKeyRecord.last_used_at.is_not(None))
            )
        )
    assert len(used) == 3
    assert all(moment and moment >= began - timedelta(seconds=1) for moment in used)


async def test_uses_are_written_at_the_end(people: People, store: Store) -> None:
    await people.keys.start()
    made = await people.keys.create(people.alice, NewApiKey(name="laptop"))
    await people.keys.verify(made.key)
    await people.keys.stop()
    listed = await ApiKeyManager(store).list(people.alice, ApiKeyQuery())
    assert listed.items[0].last_used_at is not None


async def test_a_local_key_has_no_limit_and_a_short_life(people: People, store: Store) -> None:
    first = await people.keys.issue_local(people.alice, 0.2)
    credential = await people.keys.verify(first)
    assert not credential.limited
    assert credential.account == people.alice
    await asyncio.sleep(0.3)
    second = await people.keys.issue_local(people.alice, 60)
    with pytest.raises(Unauthenticated):
        await people.keys.verify(first)
    await people.keys.verify(second)
    async with store.read() as session:
        assert len((await session.scalars(select(ApiKeyRecord.id))).all()) == 1
    await people.keys.withdraw(second)
    with pytest.raises(Unauthenticated):
        await people.keys.verify(second)


async def test_scopes_open_only_what_they_name(people: People) -> None:
    body = NewApiKey(name="reader", scopes=["container:read", "image:*"])
    made = await people.keys.create(people.alice, body)
    credential = await people.keys.verify(made.key)
    assert allowed(credential, "container:read")
    assert allowed(credential, "image:pull")
    assert allowed(credential, None)
    assert not allowed(credential, "container:start")
    assert not allowed(credential, "api-key:create")


async def test_a_scope_is_never_more_than_its_account(people: People) -> None:
    for scope in ("user:create", "user:*"):
        with pytest.raises(InvalidRequest) as caught:
            await people.keys.create(people.alice, NewApiKey(name="more", scopes=[scope]))
        assert "scopes" in caught.value.fields


async def test_keys_are_not_unlimited(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEYS_PER_ACCOUNT", 1)
    await people.keys.create(people.alice, NewApiKey(name="one"))
    with pytest.raises(InvalidRequest, match="Revoke"):
        await people.keys.create(people.alice, NewApiKey(name="two"))


async def test_a_known_key_costs_one_digest_and_no_look_into_the_store(
    people: People, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await people.keys.create(people.alice, NewApiKey(name="laptop"))
    credential = await people.keys.verify(made.key)
    digested: list[str] = []

    def noted(key: str) -> bytes:
        digested.append(key)
        return digest_of(key)

    monkeypatch.setattr(module, "digest_of", noted)
    monkeypatch.setattr(store, "read", lambda: pytest.fail("the store was asked"))
    monkeypatch.setattr(store, "write", lambda: pytest.fail("the store was asked"))
    for _ in range(100):
        assert at_once(people.keys.verify(made.key)) is credential
    assert digested == [made.key] * 100


async def test_memory_is_bounded(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REMEMBERED", 3)
    for number in range(5):
        made = await people.keys.create(people.alice, NewApiKey(name=f"{number}"))
        await people.keys.verify(made.key)
    assert len(people.keys._known) <= 3


def test_keys_are_well_formed_and_none_is_like_another() -> None:
    keys = {new_key() for _ in range(100)}
    assert len(keys) == 100
    assert all(well_formed(key) and len(key) == 52 for key in keys)


@pytest.mark.parametrize(
    ("role", "may", "may_not"),
    [
        ("admin", ["user:create", "container:delete", "anything:else"], []),
        ("user", ["container:delete", "image:pull", "operation:cancel"], ["user:create"]),
        ("operator", ["container:create", "container:start"], ["container:delete", "user:read"]),
        ("viewer", ["container:read", "image:read"], ["container:start", "image:pull"]),
        ("unknown", [], ["container:read"]),
    ],
)
def test_roles(role: str, may: list[str], may_not: list[str]) -> None:
    credential = Credential("x", "jupyter", Account("user-1", "x", role), limited=False)
    assert [name for name in may if not allowed(credential, name)] == []
    assert [name for name in may_not if allowed(credential, name)] == []


def test_a_disabled_account_and_nobody_may_do_nothing() -> None:
    disabled = Account("user-1", "x", "admin", enabled=False)
    assert not allowed(Credential("x", "jupyter", disabled, limited=False), None)
    assert not allowed(Credential("x", "anonymous", None, limited=True), None)


def test_a_grant_adds_to_the_role() -> None:
    granted = Account("user-1", "x", "viewer", permissions=("container:start",))
    credential = Credential("x", "jupyter", granted, limited=False)
    assert allowed(credential, "container:start")
    assert not allowed(credential, "container:delete")


async def test_an_administrator_makes_keys_for_others(people: People) -> None:
    made = await people.keys.create(people.admin, NewApiKey(name="for alice", owner="alice"))
    assert (await people.keys.verify(made.key)).account == people.alice
    with pytest.raises(Forbidden):
        await people.keys.create(people.bob, NewApiKey(name="for alice", owner="alice"))
    with pytest.raises(NotFound):
        await people.keys.create(people.admin, NewApiKey(name="x", owner="nobody"))
