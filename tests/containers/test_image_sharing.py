"""Private images that their owners share with some users."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import delete

from jupyter_ext.accounts.records import UserRecord
from jupyter_ext.accounts.schemas import Account
from jupyter_ext.containers import image_sharing, views
from jupyter_ext.containers.image_sharing import ImageSharing
from jupyter_ext.containers.references import PRIVATE_NAMESPACE
from jupyter_ext.containers.schemas import ImageDeleteQuery, NewContainer, PageQuery
from jupyter_ext.containers.views import Container
from jupyter_ext.errors import Conflict, Forbidden, InvalidRequest, NotFound, RateLimited

from .conftest import ADMIN, ALICE, BOB, World, register

PRIVATE = f"{PRIVATE_NAMESPACE}/bob/tool:latest"
CAROL = Account("user-4", "carol", "user")
Json = dict[str, Any]


def sharing(world: World) -> ImageSharing:
    return next(item for item in world.service.managers if isinstance(item, ImageSharing))


async def own(world: World, tag: str = PRIVATE) -> str:
    """Put an image there that was committed by bob."""
    id_ = world.engine.add_image(tag)
    await world.settled()
    assert world.images.registry.by_engine[id_].owner == BOB.id
    return id_


async def seen(world: World, caller: Account) -> dict[str, Json]:
    page = await world.images.list(caller, PageQuery())
    return {item.engine.id: dict(views.image(item)) for item in page.items}


async def run(world: World, caller: Account, name: str = "web") -> Container:
    made = await world.containers.create(caller, NewContainer(name=name, image=PRIVATE))
    assert isinstance(made, Container)
    return made


async def told(world: World, reader: Account, id_: str) -> list[Json]:
    """What a listener is told of an image from the beginning on, its last word last."""
    missed = world.bus.missed(reader, ["images"], f"{world.bus.boot}-0") or []
    return [event.data for event in missed if event.key == id_]


async def test_whom_an_image_is_shared_with_sees_it_and_runs_it(world: World) -> None:
    id_ = await own(world)
    assert id_ not in await seen(world, ALICE)
    shared = await sharing(world).add(BOB, PRIVATE, "alice")
    assert shared.shared_with == ("alice",)
    item = (await seen(world, ALICE))[id_]
    assert (item["owner"], item["public"], item["shared_with"]) == ("bob", False, ["alice"])
    made = await run(world, ALICE)
    assert made.engine.image_id == id_
    # Once more changes nothing.
    assert (await sharing(world).add(BOB, str(shared.iid), "alice")).shared_with == ("alice",)


async def test_ones_own_image_goes_by_the_last_part_of_its_name(world: World) -> None:
    await own(world)
    assert (await sharing(world).add(BOB, "tool", "alice")).shared_with == ("alice",)
    # Of whom it is shared with it is not their own.
    with pytest.raises(NotFound):
        await sharing(world).list(ALICE, "tool")
    await world.images.delete(BOB, "tool", ImageDeleteQuery())
    assert all(PRIVATE not in item["tags"] for item in (await seen(world, BOB)).values())


async def test_a_reader_sees_no_other_reader(world: World) -> None:
    id_ = await own(world)
    await register(world.store, CAROL)
    for name in ("carol", "alice"):
        await sharing(world).add(BOB, id_, name)
    assert (await seen(world, ALICE))[id_]["shared_with"] == ["alice"]
    assert len((await seen(world, BOB))[id_]["shared_with"]) == 2
    assert len((await seen(world, ADMIN))[id_]["shared_with"]) == 2
    mine = await sharing(world).list(ALICE, id_)
    assert [item["username"] for item in mine.items] == ["alice"]
    all_ = await sharing(world).list(BOB, id_)
    assert [item["username"] for item in all_.items] == ["alice", "carol"]
    assert all(item["shared_at"] for item in all_.items)


async def test_a_reader_neither_deletes_nor_shares_it(world: World) -> None:
    id_ = await own(world)
    await sharing(world).add(BOB, id_, "alice")
    for ref in (id_, PRIVATE):
        with pytest.raises(Forbidden, match="belongs to bob"):
            await world.images.delete(ALICE, ref, ImageDeleteQuery(force=True))
    with pytest.raises(Forbidden, match="belongs to bob"):
        await sharing(world).add(ALICE, id_, "admin")
    with pytest.raises(Forbidden):
        await sharing(world).remove(ALICE, id_, "alice")
    assert id_ in await seen(world, BOB)


async def test_for_everybody_else_it_is_not_there(world: World) -> None:
    id_ = await own(world)
    iid = str(world.service.image_keeper.iid(id_))
    for ref in (id_, iid, PRIVATE):
        for work in (
            sharing(world).list(ALICE, ref),
            sharing(world).add(ALICE, ref, "alice"),
            sharing(world).remove(ALICE, ref, "alice"),
        ):
            with pytest.raises(NotFound):
                await work
    await sharing(world).add(ADMIN, iid, "alice")
    assert id_ in await seen(world, ALICE)


async def test_what_was_started_goes_on_when_it_is_taken_back(world: World) -> None:
    id_ = await own(world)
    await sharing(world).add(BOB, id_, "alice")
    made = await run(world, ALICE)
    assert (await sharing(world).remove(BOB, id_, "alice")).shared_with == ()
    assert id_ not in await seen(world, ALICE)
    with pytest.raises(NotFound):
        await run(world, ALICE, "second")
    found = await world.containers.get(ALICE, "web")
    assert (found.id, found.engine.running) == (made.id, True)
    with pytest.raises(Conflict, match="1 of other users"):
        await world.images.delete(BOB, id_, ImageDeleteQuery())
    with pytest.raises(NotFound, match="not shared"):
        await sharing(world).remove(BOB, id_, "alice")


async def test_events_come_to_those_whom_it_concerns(world: World) -> None:
    id_ = await own(world)
    await sharing(world).add(BOB, id_, "alice")
    (heard,) = await told(world, ALICE, id_)
    assert heard["event"] == "changed"
    assert heard["image"]["shared_with"] == ["alice"]
    assert await told(world, CAROL, id_) == []
    await sharing(world).remove(BOB, id_, "alice")
    (heard,) = await told(world, ALICE, id_)
    assert (heard["event"], heard["id"]) == ("removed", id_)
    (heard,) = await told(world, BOB, id_)
    assert heard["image"]["shared_with"] == []
    (heard,) = await told(world, ADMIN, id_)
    assert heard["event"] == "changed"


async def test_an_administrator_whom_it_was_shared_with_still_sees_it(world: World) -> None:
    id_ = await own(world)
    await sharing(world).add(BOB, id_, "admin")
    await sharing(world).remove(BOB, id_, "admin")
    heard = await told(world, ADMIN, id_)
    assert [data["event"] for data in heard] == ["removed", "changed"]
    assert id_ in await seen(world, ADMIN)


async def test_its_deletion_is_told_to_its_readers(world: World) -> None:
    id_ = await own(world)
    await sharing(world).add(BOB, id_, "alice")
    await world.images.delete(BOB, id_, ImageDeleteQuery())
    (heard,) = await told(world, ALICE, id_)
    assert heard["event"] == "removed"


async def test_names_that_can_not_be(world: World) -> None:
    id_ = await own(world)
    for name, problem in (("nobody", "no user goes by 'nobody'"), ("bob", "whose image it is")):
        with pytest.raises(InvalidRequest, match=problem) as caught:
            await sharing(world).add(BOB, id_, name)
        assert caught.value.fields.keys() == {"username"}
    (busybox,) = (key for key in world.engine.images if key != id_)
    with pytest.raises(Conflict, match="everybody's"):
        await sharing(world).add(ADMIN, busybox, "alice")
    with pytest.raises(Forbidden):
        await sharing(world).add(BOB, busybox, "alice")


async def test_nobody_collects_user_names(world: World) -> None:
    id_ = await own(world)
    for number in range(image_sharing.WRONG_NAMES):
        with pytest.raises(InvalidRequest):
            await sharing(world).add(BOB, id_, f"guess{number}")
    # Then a right name is told apart from a wrong one no more.
    for name in ("alice", "guess"):
        with pytest.raises(RateLimited, match="Ask whom you mean"):
            await sharing(world).add(BOB, id_, name)
    with pytest.raises(InvalidRequest):
        await sharing(world).add(ADMIN, id_, "guess")
    assert id_ not in await seen(world, ALICE)


async def test_wrong_names_are_forgiven(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    id_ = await own(world)
    monkeypatch.setattr(image_sharing, "WRONG_NAMES", 1)
    with pytest.raises(InvalidRequest):
        await sharing(world).add(BOB, id_, "guess")
    with pytest.raises(RateLimited):
        await sharing(world).add(BOB, id_, "alice")
    monkeypatch.setattr(image_sharing, "FORGIVEN", 0.0)
    assert (await sharing(world).add(BOB, id_, "alice")).shared_with == ("alice",)


async def test_it_is_shared_with_so_many_and_no_more(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_sharing, "MOST", 2)
    await register(world.store, CAROL)
    id_ = await own(world)
    for name in ("alice", "carol", "alice"):
        await sharing(world).add(BOB, id_, name)
    with pytest.raises(Conflict, match="2 users") as caught:
        await sharing(world).add(BOB, id_, "admin")
    assert "username" in caught.value.fields
    await sharing(world).remove(BOB, id_, "carol")
    await sharing(world).add(BOB, id_, "admin")


async def test_shares_go_with_the_user(world: World) -> None:
    await register(world.store, CAROL)
    id_ = await own(world)
    for name in ("alice", "carol"):
        await sharing(world).add(BOB, id_, name)
    async with world.store.write() as session:
        await session.execute(delete(UserRecord).where(UserRecord.id == CAROL.id))
        await world.store.signals.raise_(session, "accounts")
    await world.settled()
    assert (await seen(world, BOB))[id_]["shared_with"] == ["alice"]
    assert id_ not in await seen(world, CAROL)


async def test_shares_stay_when_the_image_gets_another_owner(world: World) -> None:
    await register(world.store, CAROL)
    id_ = await own(world)
    for name in ("alice", "carol"):
        await sharing(world).add(BOB, id_, name)
    await world.service.belongings.transfer(BOB, ALICE)
    item = (await seen(world, ALICE))[id_]
    # An owner needs no share of their own.
    assert (item["owner"], item["shared_with"]) == ("alice", [CAROL.id])
    assert id_ in await seen(world, CAROL)
    assert id_ not in await seen(world, BOB)
    listed = await sharing(world).list(ALICE, id_)
    assert [each["username"] for each in listed.items] == ["carol"]


async def test_shares_are_remembered(world: World) -> None:
    id_ = await own(world)
    await sharing(world).add(BOB, id_, "alice")
    await world.images.registry.load()
    assert id_ in await seen(world, ALICE)
    # As a server does that starts again.
    world.images.registry.by_iid.clear()
    world.images.registry.by_engine.clear()
    await world.images.registry.load()
    await world.service.image_keeper.follow_shares()
    assert id_ in await seen(world, ALICE)
