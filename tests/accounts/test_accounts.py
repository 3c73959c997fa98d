"""People: who can be added, who can go, who the owner is."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest
from argon2 import PasswordHasher
from pydantic import ValidationError

from jupyter_ext.accounts.departures import DepartureManager
from jupyter_ext.accounts.directory import local_name
from jupyter_ext.accounts.manager import AccountManager
from jupyter_ext.accounts.passwords import Passwords
from jupyter_ext.accounts.records import UserRecord
from jupyter_ext.accounts.schemas import (
    Account,
    NewApiKey,
    NewPassword,
    NewUser,
    UserDeletion,
    UserQuery,
    username_problem,
)
from jupyter_ext.accounts.users import UserManager
from jupyter_ext.errors import (
    Conflict,
    Forbidden,
    InvalidRequest,
    NotFound,
    Unauthenticated,
)
from jupyter_ext.store import Store

from ..engines.steps import until
from ..engines.stores import QuickPasswords, Told
from ..store.test_database import reopened

ALICE = NewUser(username="alice", password="wonderland")
LEAVES = UserDeletion()


class Things:
    """What users own, by account id."""

    def __init__(self, owners: dict[str, list[str]]) -> None:
        self.owners = owners
        self.at_work = False

    async def check_departure(self, account: Account, to: Account | None) -> None:
        if self.at_work:
            raise Conflict("user", account.username, "It is at work.")

    async def owned(self, account: Account) -> list[str]:
        return self.owners.get(account.id, [])

    async def transfer(self, account: Account, to: Account) -> None:
        self.owners.setdefault(to.id, []).extend(self.owners.pop(account.id, []))

    async def purge(self, account: Account) -> None:
        self.owners.pop(account.id, None)


@pytest.fixture
def accounts(
    store: Store, bus: Told, jp_asyncio_loop: asyncio.AbstractEventLoop
) -> Iterator[AccountManager]:
    manager = AccountManager(store, admin_password="correct horse", passwords=QuickPasswords())
    jp_asyncio_loop.run_until_complete(manager.start())
    yield manager
    jp_asyncio_loop.run_until_complete(manager.stop())


@pytest.fixture
def users(store: Store, bus: Told, accounts: AccountManager) -> UserManager:
    return UserManager(store, bus, QuickPasswords(), "admin")


@pytest.fixture
def departures(store: Store, bus: Told) -> DepartureManager:
    return DepartureManager(store, bus, "admin")


async def test_the_first_start_shows_a_random_password_once(store: Store, bus: Told) -> None:
    first = AccountManager(store)
    await first.start()
    assert first.first_password is not None
    owner, _ = await first.authenticate("admin", first.first_password)
    assert owner == await first.owner()
    assert owner.is_admin
    second = AccountManager(store, admin_password="other one")
    await second.start()
    assert second.first_password is None
    with pytest.raises(Unauthenticated):
        await second.authenticate("admin", "other one")
    await first.stop()
    await second.stop()


async def test_two_first_starts_make_one_administrator(store: Store, bus: Told) -> None:
    managers = [AccountManager(store) for _ in range(2)]
    await asyncio.gather(*(manager.start() for manager in managers))
    shown = [manager.first_password for manager in managers if manager.first_password]
    assert len(shown) == 1
    await managers[0].authenticate("admin", shown[0])
    for manager in managers:
        await manager.stop()


async def test_a_configured_password_is_not_shown(accounts: AccountManager) -> None:
    assert accounts.first_password is None
    assert (await accounts.authenticate("admin", "correct horse"))[0].username == "admin"


@pytest.mark.parametrize("name", ["", "Root", "user-1", "1a", "a b", "x" * 33])
async def test_an_administrator_needs_a_name(store: Store, bus: Told, name: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await AccountManager(store, admin_username=name).start()
    assert "JupyterExt.admin_username" in caught.value.fields


async def test_a_user_is_added_and_no_reply_holds_a_password(
    accounts: AccountManager, users: UserManager
) -> None:
    admin = await accounts.owner()
    user = await users.create(admin, ALICE)
    assert (user.username, user.role, user.databases) == ("alice", "user", [])
    assert "password" not in user.model_dump()
    page = await users.list(admin, UserQuery())
    assert [item.username for item in page.items] == ["alice", "admin"]
    assert (page.total, page.name) == (2, "users")
    assert (await accounts.by_name("alice")).id == user.id
    assert await accounts.names() == {user.id: "alice", admin.id: "admin"}


async def test_lists_are_cut_and_filtered(accounts: AccountManager, users: UserManager) -> None:
    admin = await accounts.owner()
    for name in ("a", "b", "c"):
        await users.create(admin, NewUser(username=name, password="123456", role="viewer"))
    page = await users.list(admin, UserQuery(role="viewer", limit=2, offset=1))
    assert [item.username for item in page.items] == ["b", "a"]
    assert page.total == 3


async def test_a_taken_name_is_a_conflict(accounts: AccountManager, users: UserManager) -> None:
    admin = await accounts.owner()
    outcomes = await asyncio.gather(
        *(users.create(admin, ALICE) for _ in range(3)), return_exceptions=True
    )
    assert sorted(type(outcome).__name__ for outcome in outcomes) == [
        "Conflict",
        "Conflict",
        "User",
    ]


async def test_ids_are_never_given_twice(
    accounts: AccountManager, users: UserManager, departures: DepartureManager
) -> None:
    admin = await accounts.owner()
    first = await users.create(admin, ALICE)
    await departures.delete(admin, "alice", LEAVES)
    again = await users.create(admin, ALICE)
    assert first.id != again.id
    assert again.id.startswith("user-")


async def test_only_an_administrator_looks_after_users(
    accounts: AccountManager, users: UserManager, departures: DepartureManager
) -> None:
    await users.create(await accounts.owner(), ALICE)
    alice = await accounts.by_name("alice")
    with pytest.raises(Forbidden):
        await users.create(alice, NewUser(username="bob", password="123456"))
    with pytest.raises(Forbidden):
        await departures.delete(alice, "admin", LEAVES)


async def test_a_short_password_is_named(accounts: AccountManager, users: UserManager) -> None:
    admin = await accounts.owner()
    with pytest.raises(InvalidRequest) as caught:
        await users.create(admin, NewUser(username="bob", password="12345"))
    assert caught.value.fields == {"password": "must have 6 characters or more"}


async def test_a_database_that_does_not_exist_is_named(
    accounts: AccountManager, users: UserManager
) -> None:
    body = NewUser(username="bob", password="123456", databases=["sales"])
    with pytest.raises(NotFound) as caught:
        await users.create(await accounts.owner(), body)
    assert caught.value.details == {"database": "sales"}


async def test_one_changes_ones_own_password_and_nobody_elses(
    accounts: AccountManager, users: UserManager
) -> None:
    admin = await accounts.owner()
    await users.create(admin, ALICE)
    alice = await accounts.by_name("alice")
    await users.set_password(alice, "alice", NewPassword(password="looking glass"))
    await accounts.authenticate("alice", "looking glass")
    with pytest.raises(NotFound):
        await users.set_password(alice, "admin", NewPassword(password="looking glass"))
    await users.set_password(admin, alice.id, NewPassword(password="through it"))
    await accounts.authenticate("alice", "through it")
    with pytest.raises(Unauthenticated):
        await accounts.authenticate("alice", "looking glass")


async def test_who_still_owns_something_stays(
    accounts: AccountManager, users: UserManager, departures: DepartureManager, bus: Told
) -> None:
    admin = await accounts.owner()
    user = await users.create(admin, ALICE)
    things = Things({user.id: ["container web"]})
    departures.add_belongings(things)
    with pytest.raises(Conflict, match="owns container web"):
        await departures.delete(admin, "alice", LEAVES)
    assert (await accounts.by_name("alice")).id == user.id
    things.owners.clear()
    assert (await departures.delete(admin, "alice", LEAVES)).model_dump() == {
        "username": "alice",
        "status": "deleted",
    }
    with pytest.raises(NotFound):
        await accounts.by_name("alice")
    with pytest.raises(NotFound):
        await departures.delete(admin, "alice", LEAVES)
    told = bus.of("users")
    assert [event["event"] for event in told] == ["changed", "removed"]
    assert told[-1] == {"event": "removed", "id": user.id}
    assert "password" not in repr(told)


@pytest.mark.parametrize("how", [{"purge": True}, {"transfer_to": "admin"}])
async def test_who_is_refused_loses_nothing(
    accounts: AccountManager,
    users: UserManager,
    departures: DepartureManager,
    how: dict[str, object],
) -> None:
    admin = await accounts.owner()
    user = await users.create(admin, ALICE)
    first, last = Things({user.id: ["container web"]}), Things({user.id: ["database lab"]})
    departures.add_belongings(first)
    departures.add_belongings(last)
    last.at_work = True
    with pytest.raises(Conflict, match="at work"):
        await departures.delete(admin, "alice", UserDeletion.model_validate(how))
    assert first.owners == {user.id: ["container web"]}
    last.at_work = False
    await departures.delete(admin, "alice", UserDeletion.model_validate(how))
    assert user.id not in first.owners
    assert user.id not in last.owners


async def test_the_owner_of_the_server_stays(
    accounts: AccountManager, users: UserManager, departures: DepartureManager
) -> None:
    admin = await accounts.owner()
    await users.create(admin, NewUser(username="second", password="123456", role="admin"))
    with pytest.raises(Conflict, match="owns this server"):
        await departures.delete(await accounts.by_name("second"), "admin", LEAVES)


async def test_an_administrator_is_left(
    accounts: AccountManager, users: UserManager, departures: DepartureManager, store: Store
) -> None:
    admin = await accounts.owner()
    for name in ("second", "third"):
        await users.create(admin, NewUser(username=name, password="123456", role="admin"))
    async with store.write() as session:
        record = await session.get(UserRecord, admin.id)
        assert record is not None
        record.enabled = False
    second, third = await accounts.by_name("second"), await accounts.by_name("third")
    outcomes = await asyncio.gather(
        departures.delete(second, "third", LEAVES),
        departures.delete(third, "second", LEAVES),
        return_exceptions=True,
    )
    refused = [outcome for outcome in outcomes if isinstance(outcome, Conflict)]
    assert len(refused) == 1
    assert "last administrator" in str(refused[0])


async def test_a_wrong_login_tells_nothing(
    accounts: AccountManager, users: UserManager, store: Store
) -> None:
    await users.create(await accounts.owner(), ALICE)
    with pytest.raises(Unauthenticated) as wrong:
        await accounts.authenticate("alice", "nope")
    with pytest.raises(Unauthenticated) as unknown:
        await accounts.authenticate("nobody", "nope")
    async with store.write() as session:
        record = await session.get(UserRecord, (await accounts.by_name("alice")).id)
        assert record is not None
        record.enabled = False
    with pytest.raises(Unauthenticated) as disabled:
        await accounts.authenticate("alice", "wonderland")
    assert str(wrong.value) == str(unknown.value) == str(disabled.value)


async def test_a_login_is_noted(accounts: AccountManager, users: UserManager) -> None:
    admin = await accounts.owner()
    await users.create(admin, ALICE)
    await accounts.authenticate("alice", "wonderland")
    page = await users.list(admin, UserQuery(role="user"))
    assert page.items[0].last_login is not None


async def test_hashing_has_threads_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: set[str] = set()
    hash_ = PasswordHasher.hash

    def noted(hasher: PasswordHasher, password: str) -> str:
        threads.add(threading.current_thread().name)
        return hash_(hasher, password)

    monkeypatch.setattr(PasswordHasher, "hash", noted)
    passwords = Passwords()
    hashed = await asyncio.gather(*(passwords.hash("wonderland") for _ in range(4)))
    assert await passwords.verify(hashed[0], "wonderland")
    assert not await passwords.verify(hashed[0], "Wonderland")
    assert not await passwords.verify(None, "wonderland")
    assert not await passwords.verify("no hash at all", "wonderland")
    passwords.close()
    assert all(text.startswith("$argon2id$") for text in hashed)
    assert len(set(hashed)) == 4
    assert all(name.startswith("jupyter-ext-argon2") for name in threads)
    assert len(threads) <= 2
    assert asyncio.get_running_loop()._default_executor is None  # type: ignore[attr-defined]


async def test_the_loop_runs_while_a_password_is_hashed(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go = threading.Event(), threading.Event()
    hash_ = PasswordHasher.hash

    def held(hasher: PasswordHasher, password: str) -> str:
        begun.set()
        go.wait(30)
        return hash_(hasher, password)

    monkeypatch.setattr(PasswordHasher, "hash", held)
    passwords = Passwords()
    hashing = asyncio.ensure_future(passwords.hash("wonderland"))
    await until(begun.is_set)
    # Had the loop waited for it, it would have ended, and without having been let go.
    for _ in range(10):
        await asyncio.sleep(0)
    assert not hashing.done()
    go.set()
    assert (await hashing).startswith("$argon2id$")
    passwords.close()


async def test_a_change_on_another_server_is_seen_within_a_second(
    accounts: AccountManager,
    users: UserManager,
    departures: DepartureManager,
    store: Store,
    bus: Told,
) -> None:
    admin = await accounts.owner()
    user = await users.create(admin, ALICE)
    far = await reopened(store)
    other = AccountManager(far)
    try:
        assert (await other.by_name("alice")).id == user.id
        await departures.delete(admin, "alice", LEAVES)
        await asyncio.sleep(1)
        with pytest.raises(NotFound):
            await other.by_name("alice")
    finally:
        await other.stop()
        await far.close()


async def test_whoever_a_hub_names_gets_an_account(accounts: AccountManager) -> None:
    made = await asyncio.gather(*(accounts.ensure("Jane.Doe@example.org") for _ in range(3)))
    assert len({account.id for account in made}) == 1
    assert made[0].role == "user"
    assert username_problem(made[0].username) is None
    assert (await accounts.ensure("jane")).username == "jane"
    assert (await accounts.ensure("jane", role="operator")).role == "operator"
    assert (await accounts.ensure("jane")).role == "operator"
    assert (await accounts.ensure("joan", role="viewer")).role == "viewer"
    with pytest.raises(Unauthenticated):
        await accounts.authenticate("jane", "")


def test_hub_names_stay_apart() -> None:
    names = ["jane", "Jane", "JANE", "jane.", "user-1", "…", "1jane", "x" * 40, "x" * 41]
    made = [local_name(name) for name in names]
    assert len(set(made)) == len(names)
    assert [username_problem(name) for name in made] == [None] * len(names)
    assert made[0] == "jane"


def test_nobody_takes_a_hub_name_that_was_made() -> None:
    """A hub's user who calls themselves what somebody else's name became is somebody else."""
    made = local_name("Jane.Doe@example.org")
    assert len(made) <= 32
    assert local_name(made) != made
    assert username_problem(local_name(made)) is None


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"username": ""}, "username"),
        ({"username": "Alice"}, "username"),
        ({"username": "user-12"}, "username"),
        ({"username": "al ice"}, "username"),
        ({"username": "a\n"}, "username"),
        ({"username": "ä"}, "username"),
        ({"username": "x" * 33}, "username"),
        ({"password": ""}, "password"),
        ({"password": "nul\0byte"}, "password"),
        ({"role": "Root!"}, "role"),
        ({"email": "nowhere"}, "email"),
        ({"permissions": ["everything"]}, "permissions"),
    ],
)
def test_a_wrong_field_is_named(fields: dict[str, object], wrong: str) -> None:
    good = {"username": "alice", "password": "wonderland"}
    with pytest.raises(ValidationError) as caught:
        NewUser.model_validate(good | fields)
    assert [error["loc"][0] for error in caught.value.errors()] == [wrong]


@pytest.mark.parametrize(
    "fields",
    [
        {"name": ""},
        {"name": " "},
        {"name": "a\nb"},
        {"name": "x" * 101},
        {"name": "k", "expires_at": "2001-01-01T00:00:00Z"},
        {"name": "k", "scopes": ["all"]},
    ],
)
def test_a_wrong_key_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        NewApiKey.model_validate(fields)
