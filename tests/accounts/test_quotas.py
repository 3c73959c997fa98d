"""Quotas: which limit counts, who passes none together with whom, and how sums heal."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from traitlets import TraitError
from traitlets.config import Config

from jupyter_ext.accounts.departures import DepartureManager
from jupyter_ext.accounts.manager import AccountManager
from jupyter_ext.accounts.quota_ledger import QuotaLedger
from jupyter_ext.accounts.quota_schemas import (
    RESOURCES,
    Amounts,
    Limits,
    Quota,
    QuotaChange,
    parse_defaults,
)
from jupyter_ext.accounts.quotas import QuotaManager
from jupyter_ext.accounts.records import QuotaRecord, QuotaUseRecord, RoleRecord
from jupyter_ext.accounts.schemas import Account, NewUser, UserDeletion
from jupyter_ext.accounts.users import UserManager
from jupyter_ext.api.parsing import validate
from jupyter_ext.app import JupyterExt
from jupyter_ext.errors import Conflict, InvalidRequest, NotFound, QuotaExceeded
from jupyter_ext.store import Store, utcnow
from jupyter_ext.units import parse_size

from ..containers.conftest import ADMIN, ALICE, BOB, register
from ..engines.stores import MakeStore, QuickPasswords, Told
from ..store.test_database import reopened

DEFAULTS: dict[str, Limits] = {"*": {"containers": 20}, "operator": {"memory": 8 << 30}}
GB = 1 << 30


class Things:
    """A domain with things of every kind."""

    def __init__(self) -> None:
        self.held: dict[str, dict[str, int]] = {}
        self.named: list[str] = []

    async def sums(self, session: AsyncSession) -> Mapping[str, Amounts]:
        return self.held

    async def names(
        self, session: AsyncSession, owner: str, resource: str, limit: int
    ) -> Sequence[str]:
        return self.named[:limit]


@pytest.fixture
def store(make_store: MakeStore, jp_asyncio_loop: asyncio.AbstractEventLoop) -> Store:
    store = make_store()
    jp_asyncio_loop.run_until_complete(register(store, ADMIN, ALICE, BOB))
    return store


@pytest.fixture
def ledger(store: Store) -> QuotaLedger:
    return QuotaLedger(store, DEFAULTS)


@pytest.fixture
def quotas(store: Store, ledger: QuotaLedger) -> QuotaManager:
    return QuotaManager(store, ledger)


async def put(quotas: QuotaManager, name: str, **limits: Any) -> dict[str, Quota]:
    return (await quotas.set(ADMIN, name, QuotaChange.model_validate(limits))).quotas


async def take(store: Store, ledger: QuotaLedger, who: Account = ALICE, **amounts: int) -> None:
    async with store.write() as session:
        await ledger.take(session, who.id, amounts)


async def used(store: Store, ledger: QuotaLedger, who: Account = ALICE) -> dict[str, int]:
    async with store.read() as session:
        return {name: n for name, n in (await ledger.used(session, who.id)).items() if n}


# -- which limit counts ----------------------------------------------------------------------------


async def test_a_users_own_limit_beats_the_roles_and_that_the_configurations(
    quotas: QuotaManager,
) -> None:
    async def shown() -> tuple[object, object]:
        quota = (await quotas.own(ALICE)).quotas["containers"]
        return quota.limit, quota.source

    assert await shown() == (20, "default")
    await put(quotas, "user", containers=10)
    assert await shown() == (10, "role")
    await put(quotas, "alice", containers=30)
    assert await shown() == (30, "user")
    await put(quotas, "alice", containers=None)
    assert await shown() == (None, "user")
    await put(quotas, "alice", containers="default")
    assert await shown() == (10, "role")
    await put(quotas, "user", containers="default")
    assert await shown() == (20, "default")


async def test_an_administrator_has_no_limit_unless_one_is_set(quotas: QuotaManager) -> None:
    assert {quota.limit for quota in (await quotas.own(ADMIN)).quotas.values()} == {None}
    await put(quotas, "admin", containers=3)
    assert (await quotas.own(ADMIN)).quotas["containers"].limit == 3


async def test_a_role_adds_to_what_everybody_has(quotas: QuotaManager) -> None:
    found = (await quotas.get(ADMIN, "operator")).quotas
    assert (found["containers"].limit, found["memory"].limit) == (20, 8 * GB)
    assert found["memory"].limit_text == "8GB"
    assert found["memory"].used is None


async def test_everything_is_listed_with_its_unit(
    quotas: QuotaManager, store: Store, ledger: QuotaLedger
) -> None:
    await take(store, ledger, containers=2, cpu=1500, memory=GB)
    reply = await quotas.own(ALICE)
    assert (reply.user, reply.user_id, reply.role) == ("alice", ALICE.id, "user")
    assert list(reply.quotas) == [
        "containers",
        "cpu",
        "memory",
        "disk",
        "gpus",
        "databases",
        "database_size",
        "machines",
    ]
    cpu, memory = reply.quotas["cpu"], reply.quotas["memory"]
    assert (cpu.used, cpu.used_text, cpu.unit) == (1.5, "1.5", "cores")
    assert (memory.used, memory.used_text, memory.unit) == (GB, "1GB", "bytes")
    assert (reply.quotas["gpus"].used, reply.quotas["gpus"].limit) == (0, None)


async def test_a_role_comes_before_a_user_of_its_name(quotas: QuotaManager, store: Store) -> None:
    """Who registers as ``viewer`` must not get the limits that the role was meant to have."""
    await register(store, Account("user-9", "viewer", "user"))
    assert (await quotas.get(ADMIN, "viewer")).user is None
    for name in ("user:viewer", "user-9", "user:user-9"):
        assert (await quotas.get(ADMIN, name)).user == "viewer"
    for name in ("admin", "role:admin"):
        assert (await quotas.get(ADMIN, name)).user is None
    await put(quotas, "user:viewer", containers=1)
    assert (await quotas.get(ADMIN, "role:viewer")).quotas["containers"].limit == 20


async def test_a_role_of_the_administrators_own_making(quotas: QuotaManager, store: Store) -> None:
    with pytest.raises(NotFound):
        await quotas.get(ADMIN, "student")
    async with store.write() as session:
        session.add(RoleRecord(name="student", description="", permissions=[], created_at=utcnow()))
    assert (await put(quotas, "student", gpus=1))["gpus"].limit == 1


@pytest.mark.parametrize("name", ["nobody", "user:user", "role:alice", "group:alice", ":", "user:"])
async def test_nobody_of_that_name(quotas: QuotaManager, name: str) -> None:
    with pytest.raises(NotFound):
        await quotas.get(ADMIN, name)
    with pytest.raises(NotFound):
        await put(quotas, name, containers=1)


async def test_what_is_absent_stays(quotas: QuotaManager) -> None:
    await put(quotas, "alice", containers=3, cpu=2.5, memory="8GB", disk=1 << 40)
    found = await put(quotas, "alice", cpu=None)
    assert (found["containers"].limit, found["cpu"].limit) == (3, None)
    assert (found["memory"].limit, found["disk"].limit) == (8 * GB, 1 << 40)


def test_an_unknown_resource_is_named() -> None:
    with pytest.raises(InvalidRequest) as caught:
        validate(QuotaChange, {"containers": 3, "container": 4, "cpu": -1, "name": None})
    assert set(caught.value.fields) == {"container", "cpu", "name"}
    assert "there are containers, cpu" in caught.value.fields["container"]


async def test_limits_of_one_user_are_set_by_two_at_once(quotas: QuotaManager) -> None:
    await asyncio.gather(*(put(quotas, "alice", containers=n, cpu=n) for n in range(1, 9)))
    found = (await quotas.own(ALICE)).quotas
    assert found["containers"].limit == found["cpu"].limit


# -- what is used ----------------------------------------------------------------------------------


async def test_a_limit_is_not_passed(store: Store, quotas: QuotaManager) -> None:
    ledger, things = QuotaLedger(store, DEFAULTS), Things()
    ledger.register(things)
    await put(quotas, "alice", cpu=2, containers=3)
    await take(store, ledger, containers=1, cpu=1500)
    things.named = [f"thing-{number}" for number in range(30)]
    with pytest.raises(QuotaExceeded) as caught:
        await take(store, ledger, containers=1, cpu=750, memory=GB)
    error = caught.value
    assert error.details == {
        "resource": "cpu",
        "limit": 2,
        "used": 1.5,
        "requested": 0.75,
        "by": things.named[:20],
    }
    assert "0.75 cores more would pass the limit of 2 cores: 1.5 cores in use" in error.message
    assert "thing-19 and others" in error.message
    # What was taken before the refusal is not kept.
    assert await used(store, ledger) == {"containers": 1, "cpu": 1500}
    await take(store, ledger, cpu=500)


async def test_what_is_being_made_is_not_among_what_is_in_the_way(
    store: Store, quotas: QuotaManager
) -> None:
    ledger, things = QuotaLedger(store), Things()
    ledger.register(things)
    await put(quotas, "alice", containers=0)
    things.named = ["new", "old"]
    with pytest.raises(QuotaExceeded) as caught:
        async with store.write() as session:
            await ledger.take(session, ALICE.id, {"containers": 1}, new="new")
    assert caught.value.details["by"] == ["old"]
    assert "1 container more would pass the limit of 0 containers" in caught.value.message


async def test_what_goes_is_given_back(store: Store, ledger: QuotaLedger) -> None:
    await take(store, ledger, containers=2, memory=GB)
    await take(store, ledger, containers=-1, memory=-GB)
    assert await used(store, ledger) == {"containers": 1}
    # More than there is would only be a mistake.
    async with store.write() as session:
        await ledger.count(session, {ALICE.id: {"containers": -5}})
    assert await used(store, ledger) == {}


async def test_what_is_so_already_counts_without_being_refused(
    store: Store, ledger: QuotaLedger, quotas: QuotaManager
) -> None:
    await put(quotas, "alice", containers=1)
    async with store.write() as session:
        await ledger.count(session, {ALICE.id: {"containers": 5}, "user-gone": {"containers": 1}})
    assert await used(store, ledger) == {"containers": 5}
    with pytest.raises(QuotaExceeded):
        await take(store, ledger, containers=1)
    await take(store, ledger, containers=-1)


async def test_an_account_that_is_gone_takes_nothing(store: Store, ledger: QuotaLedger) -> None:
    with pytest.raises(NotFound):
        await take(store, ledger, Account("user-77", "gone", "user"), containers=1)


async def test_a_thing_without_a_limit_of_its_own(
    store: Store, ledger: QuotaLedger, quotas: QuotaManager
) -> None:
    fields = {"cpu": ("cpu", 1000), "memory": ("mem", 1 << 20)}

    async def ask(**amounts: int) -> None:
        async with store.write() as session:
            await ledger.take(session, ALICE.id, {"containers": 1, **amounts}, fields=fields)

    await ask()
    await put(quotas, "alice", cpu=4, memory="8GB")
    with pytest.raises(InvalidRequest) as caught:
        await ask()
    assert caught.value.fields == {
        "cpu": "must be set, to 4 or less: the quota is 4 cores, and 0 cores are in use",
        "mem": "must be set, to 8192 or less: the quota is 8GB of memory, "
        "and 0B of memory are in use",
    }
    await ask(cpu=2500, memory=2 * GB)
    with pytest.raises(InvalidRequest) as caught:
        await ask(memory=GB)
    assert set(caught.value.fields) == {"cpu"}
    assert "to 1.5 or less" in caught.value.fields["cpu"]
    await ask(cpu=1500, memory=GB)
    with pytest.raises(QuotaExceeded, match="Nothing is left of the limit of 4 cores"):
        await ask(memory=GB)
    assert await used(store, ledger) == {"containers": 3, "cpu": 4000, "memory": 3 * GB}


async def test_servers_can_not_pass_a_limit_together(store: Store, quotas: QuotaManager) -> None:
    await put(quotas, "alice", containers=7, cpu=100)
    other = await reopened(store)
    servers = [(each, QuotaLedger(each)) for each in (store, other)]
    try:
        outcomes = await asyncio.gather(
            *(take(*servers[number % 2], containers=1, cpu=10) for number in range(40)),
            return_exceptions=True,
        )
        kinds = Counter(type(outcome).__name__ for outcome in outcomes)
        assert kinds == {"NoneType": 7, "QuotaExceeded": 33}
        assert await used(*servers[0]) == {"containers": 7, "cpu": 70}
    finally:
        await other.close()


# -- healing ---------------------------------------------------------------------------------------


async def test_sums_are_set_to_what_the_records_say(
    store: Store, ledger: QuotaLedger, caplog: pytest.LogCaptureFixture
) -> None:
    things, more = Things(), Things()
    ledger.register(things)
    ledger.register(more)
    things.held = {
        ALICE.id: {"containers": 3, "cpu": 500},
        BOB.id: {"cpu": 100},
        "user-gone": {"cpu": 1},
    }
    more.held = {ALICE.id: {"cpu": 250, "machines": 1}}
    await take(store, ledger, containers=9, memory=GB)
    await QuotaManager(store, ledger).start()
    assert await used(store, ledger) == {"containers": 3, "cpu": 750, "machines": 1}
    assert await used(store, ledger, BOB) == {"cpu": 100}
    assert f"{ALICE.id} used 3 of containers, not 9" in caplog.text


async def test_nothing_that_is_claimed_meanwhile_is_lost(store: Store, ledger: QuotaLedger) -> None:
    """The sums are read and written while nobody else does."""

    class Counting(Things):
        async def sums(self, session: AsyncSession) -> Mapping[str, Amounts]:
            await asyncio.sleep(0.05)
            rows = await session.execute(select(QuotaRecord.subject, QuotaRecord.amount))
            held = Counter[str]()
            for subject, amount in rows:
                held[subject.partition("/")[0]] += amount or 0
            return {owner: {"containers": count} for owner, count in held.items()}

    ledger.register(Counting())

    async def claim(number: int) -> None:
        await asyncio.sleep(number * 0.01)
        async with store.write() as session:
            session.add(QuotaRecord(subject=f"{ALICE.id}/{number}", resource="x", amount=1))
            await session.flush()
            await asyncio.sleep(0.01)
            await ledger.take(session, ALICE.id, {"containers": 1})

    await asyncio.gather(ledger.reconcile(), *(claim(number) for number in range(12)))
    assert await used(store, ledger) == {"containers": 12}
    await asyncio.gather(*(ledger.reconcile() for _ in range(3)))
    assert await used(store, ledger) == {"containers": 12}


async def test_a_store_that_does_not_answer_costs_nobody_the_start(
    quotas: QuotaManager, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    await store.close()
    await quotas.start()
    assert "not compared" in caplog.text


# -- users that go ---------------------------------------------------------------------------------


async def test_limits_and_use_go_with_their_user(store: Store, ledger: QuotaLedger) -> None:
    accounts = AccountManager(store, passwords=QuickPasswords())
    users = UserManager(store, Told(), QuickPasswords(), "admin")
    departures = DepartureManager(store, Told(), "admin")
    quotas = QuotaManager(store, ledger)
    try:
        made = await users.create(ADMIN, NewUser(username="carol", password="123456"))
        carol = await accounts.by_name("carol")
        await put(quotas, "carol", containers=3)
        await take(store, ledger, carol, containers=1)
        with pytest.raises(Conflict, match="carol still has 1 container"):
            await departures.delete(ADMIN, "carol", UserDeletion())
        await take(store, ledger, carol, containers=-1)
        await departures.delete(ADMIN, "carol", UserDeletion())
    finally:
        await accounts.stop()
    async with store.read() as session:
        assert not (await session.scalars(select(QuotaRecord))).all()
        left = select(QuotaUseRecord).where(QuotaUseRecord.user_id == made.id)
        assert not (await session.scalars(left)).all()
    with pytest.raises(NotFound):
        await quotas.own(carol)


async def test_nobody_goes_while_something_of_theirs_is_begun(
    store: Store, ledger: QuotaLedger
) -> None:
    accounts = AccountManager(store, passwords=QuickPasswords())
    users = UserManager(store, Told(), QuickPasswords(), "admin")
    departures = DepartureManager(store, Told(), "admin")
    try:
        for round_ in range(5):
            name = f"carol{round_}"
            await users.create(ADMIN, NewUser(username=name, password="123456"))
            carol = await accounts.by_name(name)
            begun, deleted = await asyncio.gather(
                take(store, ledger, carol, containers=1),
                departures.delete(ADMIN, name, UserDeletion()),
                return_exceptions=True,
            )
            assert isinstance(begun, NotFound) != isinstance(deleted, Conflict)
    finally:
        await accounts.stop()


# -- what is written -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "size"),
    [
        (0, 0),
        (1024, 1024),
        (2.0, 2),
        ("8GB", 8 * GB),
        ("8 gib", 8 * GB),
        ("1.5g", 3 * GB // 2),
        ("512MB", 512 << 20),
        ("100", 100),
        ("10 bytes", 10),
        ("2T", 2 << 40),
    ],
)
def test_sizes_are_read(written: object, size: int) -> None:
    assert parse_size(written) == size


@pytest.mark.parametrize(
    ("resource", "wrong"),
    [
        ("containers", -1),
        ("containers", 1.5),
        ("containers", True),
        ("containers", "many"),
        ("containers", 1 << 61),
        ("cpu", "2"),
        ("cpu", 0.0001),
        ("cpu", float("inf")),
        ("cpu", float("nan")),
        ("cpu", 1.25e308),
        ("cpu", 10**400),
        ("cpu", -0.5),
        ("memory", 1.25e308),
        ("containers", 10**400),
        ("memory", "8 XB"),
        ("memory", ""),
        ("memory", "-1GB"),
        ("memory", 1.5),
        ("memory", False),
        ("memory", [1]),
        ("memory", "9" * 39),
        ("disk", {}),
    ],
)
def test_a_wrong_limit_is_named(resource: str, wrong: object) -> None:
    with pytest.raises(ValidationError) as caught:
        QuotaChange.model_validate({resource: wrong})
    assert [error["loc"] for error in caught.value.errors()] == [(resource,)]


def test_every_resource_can_be_set() -> None:
    change = QuotaChange.model_validate(dict.fromkeys(RESOURCES, 1))
    assert list(change.given()) == list(RESOURCES)


def test_the_configuration_is_looked_at() -> None:
    assert parse_defaults(JupyterExt().quotas) == {"*": {"containers": 20, "machines": 5}}
    given = {"user": {"cpu": 0.5, "memory": "1GB", "disk": None}}
    assert JupyterExt(config=Config(JupyterExt={"quotas": given})).quotas == given
    assert parse_defaults(given) == {"user": {"cpu": 500, "memory": GB, "disk": None}}


@pytest.mark.parametrize(
    "wrong",
    [{"user": {"container": 1}}, {"user": {"containers": -1}}, {"user": 3}, {3: {}}],
)
def test_a_wrong_configuration_is_refused(wrong: dict[Any, Any]) -> None:
    with pytest.raises(TraitError, match=r"JupyterExt.quotas"):
        JupyterExt().quotas = wrong


async def test_two_claims_of_one_sum_are_both_counted(store: Store, ledger: QuotaLedger) -> None:
    """The first use of a resource makes its row; two may do so at once."""
    await asyncio.gather(*(take(store, ledger, containers=1) for _ in range(8)))
    assert await used(store, ledger) == {"containers": 8}
