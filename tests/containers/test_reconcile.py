"""Records and engine agree again, whatever happened to either."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import delete, select, update

from jupyter_ext.containers.engine_types import EngineMount
from jupyter_ext.containers.marks import CID, PART, PROBE, PROBE_NAME, Mark
from jupyter_ext.containers.matrix import MatrixContainers
from jupyter_ext.containers.records import ContainerRecord, PortClaim
from jupyter_ext.containers.saving import SAVE, ImageSaver
from jupyter_ext.containers.schemas import (
    ContainerQuery,
    DeleteQuery,
    NewContainer,
)
from jupyter_ext.containers.views import Container
from jupyter_ext.errors import Conflict, Forbidden, NotFound, Unavailable
from jupyter_ext.operations.schemas import Operation, Recovered
from jupyter_ext.store import utcnow
from jupyter_ext.store.leases import ServerLease

from .conftest import ADMIN, ALICE, BOB, World
from .memory_engine import MemoryEngine

ALL = ContainerQuery()


async def names(world: World, caller: object = ADMIN) -> list[str]:
    page = await world.containers.list(caller, ALL)  # type: ignore[arg-type]
    return sorted(item.name for item in page.items)


async def make(world: World, name: str = "web", **more: object) -> Container:
    body = NewContainer.model_validate({"name": name, "image": "busybox", **more})
    made = await world.containers.create(ALICE, body)
    assert isinstance(made, Container)
    return made


async def records(world: World) -> int:
    async with world.store.read() as session:
        return len((await session.scalars(select(ContainerRecord))).all())


async def test_a_container_of_the_docker_command_is_the_administrators(world: World) -> None:
    world.engine.add_container("foreign", "busybox:latest")
    await world.settled()
    assert await names(world) == ["foreign"]
    assert await names(world, ALICE) == []
    (item,) = (await world.containers.list(ADMIN, ALL)).items
    assert item.owner == "admin"
    with pytest.raises(NotFound):
        await world.containers.get(ALICE, "foreign")
    told = [data for data in world.bus.of("containers") if data["event"] == "changed"]
    assert told[-1]["container"]["name"] == "foreign"


@pytest.mark.parametrize("label", [PART, PROBE])
async def test_labels_of_a_recipe_hide_no_container(world: World, label: str) -> None:
    world.engine.add_container("foreign", "busybox:latest", {label: "op-1"})
    await world.settled()
    assert await names(world) == ["foreign"]


async def test_what_is_a_step_of_something_else_is_nobodys(world: World) -> None:
    part = {PART: world.store.secrets.seals("op-1")[0]}
    world.engine.add_container("part", "busybox:latest", part)
    world.engine.add_container(f"{PROBE_NAME}1", "busybox:latest", {PROBE: "gpus"})
    await world.settled()
    assert await names(world) == []


async def test_a_container_that_somebody_removed_frees_its_name_and_ports(world: World) -> None:
    made = await make(world, ports={"80/tcp": 8080})
    world.engine.vanish(made.id)
    await world.settled()
    assert await names(world) == []
    assert world.bus.of("containers")[-1]["event"] == "removed"
    await make(world, ports={"80/tcp": 8080})


async def test_what_one_had_is_free_as_soon_as_it_is_in_no_list(world: World) -> None:
    for _ in range(5):
        made = await make(world, ports={"80/tcp": 8080})
        world.engine.vanish(made.id)
        async with asyncio.timeout(5):
            while await names(world):
                await asyncio.sleep(0)
    await make(world, ports={"80/tcp": 8080})


def test_what_changed_while_the_server_was_away(
    world: World,
    make_world: Callable[..., World],
    jp_asyncio_loop: asyncio.AbstractEventLoop,
) -> None:
    run = jp_asyncio_loop.run_until_complete
    made = run(make(world, ports={"80/tcp": 8080}))
    gone = run(make(world, "gone", ports={"80/tcp": 8081}))
    run(world.service.stop())
    world.engine.vanish(gone.id, silently=True)
    world.engine.add_container("meanwhile", "busybox:latest")

    again = make_world(world.engine)
    assert run(names(again)) == ["meanwhile", "web"]
    item = run(again.containers.get(ALICE, "web"))
    assert (item.cid, item.owner) == (made.cid, "alice")
    with pytest.raises(Conflict):
        run(make(again, "other", ports={"80/tcp": 8080}))
    run(make(again, "gone", ports={"80/tcp": 8081}))


def test_a_lost_store_is_filled_from_the_labels(
    world: World,
    make_world: Callable[..., World],
    jp_asyncio_loop: asyncio.AbstractEventLoop,
) -> None:
    run = jp_asyncio_loop.run_until_complete
    run(make(world, "first"))
    made = run(make(world, "second", ports={"80/tcp": 8080}))
    run(world.service.stop())

    async def lose() -> None:
        async with world.store.write() as session:
            await session.execute(delete(PortClaim))
            await session.execute(delete(ContainerRecord))

    run(lose())
    world.store.id = "store-new"
    again = make_world(world.engine)
    assert run(names(again, ALICE)) == ["first", "second"]
    assert run(names(again, BOB)) == []
    if world.store.is_sqlite:
        assert run(again.containers.get(ALICE, "second")).cid == made.cid
    with pytest.raises(Conflict):
        run(make(again, "third", ports={"80/tcp": 8080}))


async def test_labels_of_nobody_belong_to_the_administrator(world: World) -> None:
    labels = {"jupyter_ext.owner": "mallory", "jupyter_ext.home": "x", "jupyter_ext.cid": "7"}
    world.engine.add_container("mallory.web", "busybox:latest", labels)
    world.engine.add_container("half", "busybox:latest", {"jupyter_ext.owner": "alice"})
    await world.settled()
    assert await names(world) == ["half", "mallory.web"]
    assert await names(world, ALICE) == []


def marked(world: World, name: str, cid: int, home: str = "") -> dict[str, str]:
    return Mark("alice", name, cid, home or world.store.id).labels()


async def test_two_containers_of_one_name_are_told_apart(world: World) -> None:
    made = await make(world)
    await world.service.registry.rename(made.cid, "old")
    await make(world, "new")
    await world.service.registry.rename(2, "web")
    del world.service.registry.by_engine[made.id]
    await world.service.registry.release([made.cid])
    world.service.keeper.changed(made.id)
    await world.settled()
    assert await names(world, ALICE) == ["web", "web-2"]


async def test_an_image_makes_nobody_an_owner(world: World) -> None:
    """Labels of an image become those of its containers, whoever starts them."""
    image = world.engine.add_image("trap:latest")
    labels = marked(world, "web", 70, "old")
    world.engine.images[image] = replace(world.engine.images[image], labels=labels)
    # Root starts it, even under the very name.
    world.engine.add_container("alice.web", "trap:latest", labels)
    await world.settled()
    assert await names(world, ALICE) == []
    assert await names(world) == ["alice.web"]


async def test_a_mark_needs_the_engines_name_to_agree(world: World) -> None:
    world.engine.add_container("something", "busybox:latest", marked(world, "web", 70, "old"))
    await world.settled()
    assert await names(world, ALICE) == []


@pytest.mark.parametrize("wrong", ["", "x", "-1", "9" * 10, "²"])
async def test_a_number_that_is_none(world: World, wrong: str) -> None:
    labels = {**marked(world, "web", 70, "old"), CID: wrong}
    world.engine.add_container("alice.web", "busybox:latest", labels)
    await world.settled()
    assert await names(world, ALICE) == []


def test_an_engine_that_is_away_takes_nobodys_name(
    world: World, make_world: Callable[..., World], jp_asyncio_loop: asyncio.AbstractEventLoop
) -> None:
    run = jp_asyncio_loop.run_until_complete
    run(make(world))
    run(world.service.stop())
    world.engine.go_away()
    again = make_world(world.engine)
    with pytest.raises(Unavailable, match="does not answer"):
        run(names(again))
    assert run(records(again)) == 1


async def claim_of_a_dead_server(
    world: World, name: str = "half", server: str = "server-dead"
) -> int:
    async with world.store.write() as session:
        record = ContainerRecord(
            device=1,
            engine_id=None,
            owner=ALICE.id,
            name=name,
            image="busybox",
            server=server,
            created_at=utcnow(),
        )
        session.add(record)
        await session.flush()
        session.add(
            PortClaim(device=1, port=8080, protocol="tcp", cid=record.cid, container_port=1)
        )
        return record.cid


async def test_a_claim_of_a_dead_server_is_freed(world: World) -> None:
    await claim_of_a_dead_server(world)
    await world.service.registry.load()
    with pytest.raises(Conflict):
        await make(world, "half")
    await world.service.keeper.listed(world.service.engines.local)
    await make(world, "half", ports={"80/tcp": 8080})


async def test_what_a_dead_server_made_is_written_down(world: World) -> None:
    cid = await claim_of_a_dead_server(world)
    await world.service.registry.load()
    labels = marked(world, "half", cid)
    id_ = world.engine.add_container("alice.half", "busybox:latest", labels)
    await world.settled()
    # Somebody may be making it right now.
    assert await names(world) == []
    await world.service.keeper.listed(world.service.engines.local)
    assert (await world.containers.get(ALICE, "half")).id == id_
    assert (await world.containers.get(ALICE, "half")).cid == cid


async def test_a_claim_of_a_living_server_stays(world: World) -> None:
    cid = await claim_of_a_dead_server(world)
    async with world.store.write() as session:
        await session.execute(
            update(ContainerRecord)
            .where(ContainerRecord.cid == cid)
            .values(server=world.service.registry._lease.id)
        )
    await world.service.registry.load()
    await world.service.keeper.listed(world.service.engines.local)
    assert await records(world) == 1


async def test_what_the_mirror_has_not_heard_of_yet_is_asked_for_before_it_is_forgotten(
    world: World,
) -> None:
    made = await make(world, "fresh")
    # As where another server made it, and this one read the store before the engine's event.
    world.service.mirror.containers.pop(made.id)
    await world.service.keeper.listed(world.service.engines.local)
    assert (await world.containers.get(ALICE, "fresh")).cid == made.cid
    world.service.mirror.containers.pop(made.id)
    world.engine.vanish(made.id, silently=True)
    await world.service.keeper.listed(world.service.engines.local)
    assert await records(world) == 0


async def test_what_another_server_is_making_is_not_adopted(world: World) -> None:
    other = ServerLease(world.store)
    await other.start()
    try:
        # Its claim is in the store, and not in this server's memory yet.
        cid = await claim_of_a_dead_server(world, server=other.id)
        world.engine.add_container("alice.half", "busybox:latest", marked(world, "half", cid))
        await world.settled()
        assert await records(world) == 1
        assert await names(world) == []
    finally:
        await other.stop()


async def test_a_claim_that_was_taken_over_is_neither_given_up_nor_bound(world: World) -> None:
    registry = world.service.registry
    mine, _ = await registry.claim(ALICE.id, "half", "busybox", {}, world.defaults.ports)
    async with world.store.write() as session:
        row = update(ContainerRecord).where(ContainerRecord.cid == mine.cid)
        await session.execute(row.values(server="server-other"))
    await registry.load()
    await registry.handover.give_up(mine)
    assert await records(world) == 1
    with pytest.raises(Conflict):
        await registry.handover.bind(mine, "f" * 64)
    taken = await registry.handover.take_over(registry.by_cid[mine.cid])
    await registry.handover.give_up(taken)
    assert await records(world) == 0


def interrupted(cid: int) -> tuple[Operation, dict[str, int]]:
    operation = Operation(
        id="op-1",
        kind="container.create",
        subject="half",
        owner=ALICE.id,
        state="running",
        created_at=utcnow(),
    )
    return operation, {"cid": cid}


async def test_an_interrupted_making_is_undone(world: World) -> None:
    cid = await claim_of_a_dead_server(world)
    await world.service.registry.load()
    outcome = await world.service.creation.recover(*interrupted(cid))
    assert isinstance(outcome, str)
    await make(world, "half")


async def test_an_interrupted_making_is_finished(world: World) -> None:
    cid = await claim_of_a_dead_server(world)
    await world.service.registry.load()
    labels = marked(world, "half", cid)
    id_ = world.engine.add_container("alice.half", "busybox:latest", labels)
    world.engine._set(id_, status="created")
    await world.settled()
    outcome = await world.service.creation.recover(*interrupted(cid))
    assert isinstance(outcome, Recovered)
    assert outcome.succeeded
    assert world.engine.containers[id_].status == "running"
    # Again, as after a second crash.
    assert isinstance(await world.service.creation.recover(*interrupted(cid)), Recovered)


async def test_an_interrupted_making_looks_at_its_folders_again(
    world: World, tmp_path: Path
) -> None:
    cid = await claim_of_a_dead_server(world)
    await world.service.registry.load()
    id_ = world.engine.add_container("alice.half", "busybox:latest", marked(world, "half", cid))
    # What alice was allowed once is somebody else's by now.
    world.engine._set(id_, status="created", mounts=(EngineMount(str(tmp_path), "/data"),))
    await world.settled()
    with pytest.raises(Forbidden):
        await world.service.creation.recover(*interrupted(cid))
    assert world.engine.containers[id_].status == "created"


async def test_what_docker_made_may_have_links_in_its_paths(world: World, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    id_ = world.engine.add_container("plain", "busybox:latest")
    world.engine._set(id_, status="exited", mounts=(EngineMount(str(link), "/data"),))
    await world.settled()
    world.engine.local = True
    started = await world.containers.start(ADMIN, "plain")
    assert started.changed
    assert world.engine.containers[id_].status == "running"


async def test_a_stopped_deletion_is_finished_by_whoever_sees_it(world: World) -> None:
    made = await make(world)
    world.engine.vanish(made.id, silently=True)
    with pytest.raises(NotFound):
        await world.containers.start(ALICE, "web")
    assert await names(world) == []
    with pytest.raises(NotFound):
        await world.containers.delete(ALICE, "web", DeleteQuery())


def test_an_engine_with_nothing(
    make_world: Callable[..., World], jp_asyncio_loop: asyncio.AbstractEventLoop
) -> None:
    world = make_world(MemoryEngine())
    assert jp_asyncio_loop.run_until_complete(names(world)) == []


@pytest.mark.parametrize("noted", [True, False])
async def test_only_a_pause_that_a_save_wrote_down_is_ended_by_its_recovery(
    world: World, noted: bool
) -> None:
    made = await make(world)
    world.engine._set(made.id, status="paused")
    saver = next(each for each in world.service.managers if isinstance(each, ImageSaver))
    operation = Operation(
        id="op-1",
        kind=SAVE,
        subject="tool",
        owner=ALICE.id,
        state="running",
        created_at=utcnow(),
        details={"paused": {"container": made.id, "at": 1.0}} if noted else {},
    )
    given = {"image": "jupyter-ext/alice/tool:1", "owner": ALICE.id, "public": False, "device": 1}
    assert "Save it again" in str(await saver.recover(operation, given))
    assert world.engine.containers[made.id].status == ("running" if noted else "paused")


@pytest.mark.parametrize("name", ["tool", "tool-before"])
@pytest.mark.parametrize("at", ["saving", "aside", "made"])
async def test_an_interrupted_change_of_gpus_is_undone(world: World, name: str, at: str) -> None:
    made = await make(world, name)
    engine_name = world.engine.containers[made.id].name
    world.engine._set(made.id, status="exited")
    if at != "saving":
        world.engine._set(made.id, name=f"{engine_name}-before")
    if at == "made":
        world.engine.add_container(engine_name, "busybox:latest", marked(world, name, made.cid))
    await world.settled()
    matrix = next(each for each in world.service.managers if isinstance(each, MatrixContainers))
    given = {"cid": made.cid, "before": made.id, "name": engine_name}
    outcome = await matrix._refitter.recover(interrupted(made.cid)[0], given)
    assert "as before" in str(outcome)
    assert {id_: each.name for id_, each in world.engine.containers.items()} == {
        made.id: engine_name
    }
