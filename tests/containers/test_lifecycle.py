"""Containers from their making to their end, and who may do what to them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from jupyter_ext.accounts.schemas import Account
from jupyter_ext.containers import views
from jupyter_ext.containers.matrix import MatrixContainers
from jupyter_ext.containers.schemas import (
    ContainerChange,
    ContainerQuery,
    DeleteQuery,
    NewContainer,
    StopOptions,
)
from jupyter_ext.containers.views import Container
from jupyter_ext.errors import Conflict, InvalidRequest, NotFound, Unavailable

from .conftest import ADMIN, ALICE, BOB, World

PLAIN = StopOptions()


async def make(world: World, caller: Account = ALICE, name: str = "web", **more: Any) -> Container:
    body = NewContainer.model_validate({"name": name, "image": "busybox", **more})
    made = await world.containers.create(caller, body)
    assert isinstance(made, Container)
    return made


async def test_a_container_runs_and_is_its_makers(world: World) -> None:
    made = await make(world, ports={"80/tcp": 8080}, environment={"A": 1})

    shown = views.detail(made)
    assert shown["status"] == "running"
    assert shown["owner"] == "alice"
    assert shown["name"] == "web"
    assert shown["image"] == "busybox:latest"
    assert shown["iid"] == 2
    assert shown["ports"] == {"80/tcp": 8080}
    assert shown["config"]["environment"] == {"A": "1", "NVIDIA_VISIBLE_DEVICES": "void"}
    assert [step["step"] for step in shown["startup"]] == ["start"]
    spec = world.engine.specs["alice.web"]
    assert spec.network == "jupyter_ext-alice"
    assert spec.init
    assert spec.pids_limit == 4096
    assert spec.log_max_size
    assert spec.ports["80/tcp"].host_ip == "127.0.0.1"  # type: ignore[union-attr]
    assert spec.labels["jupyter_ext.owner"] == "alice"
    assert spec.labels["jupyter_ext.cid"] == str(made.cid)


async def test_what_an_operation_keeps_leads_back_to_what_it_made(world: World) -> None:
    made = await make(world, environment={"A": 1})
    kept = views.container(made)
    assert "config" not in kept
    again = await world.containers.made(ALICE, kept)
    assert views.detail(again)["config"] == views.detail(made)["config"]
    with pytest.raises(NotFound):
        await world.containers.made(BOB, kept)
    matrix = next(each for each in world.service.managers if isinstance(each, MatrixContainers))
    assert (await matrix.created(ALICE, kept))["cid"] == made.cid
    image = (await world.images.all(ALICE))[0]
    assert (await world.images.made(ALICE, views.image(image))).iid == image.iid


async def test_a_container_without_a_pull_is_no_operation(world: World) -> None:
    await make(world)
    assert world.bus.of("operations") == []


async def test_names_are_ones_own(world: World) -> None:
    await make(world, ALICE)
    await make(world, BOB)
    with pytest.raises(Conflict) as caught:
        await make(world, ALICE)
    assert caught.value.fields == {"name": "is taken"}


async def test_a_name_is_free_again_when_the_container_is_gone(world: World) -> None:
    first = await make(world)
    await world.containers.delete(ALICE, "web", DeleteQuery())
    second = await make(world)
    assert second.cid != first.cid


@pytest.mark.parametrize("by", ["id", "short", "name", "cid"])
async def test_a_container_is_found_by(world: World, by: str) -> None:
    made = await make(world)
    ref = {"id": made.id, "short": made.id[:12], "name": "web", "cid": str(made.cid)}[by]
    assert (await world.containers.get(ALICE, ref)).id == made.id
    assert (await world.containers.get(ADMIN, ref)).id == made.id
    for call in (
        world.containers.get(BOB, ref),
        world.containers.start(BOB, ref),
        world.containers.stop(BOB, ref, PLAIN, PLAIN),
        world.containers.restart(BOB, ref, PLAIN, PLAIN),
        world.containers.update(BOB, ref, ContainerChange(name="mine")),
        world.containers.delete(BOB, ref, DeleteQuery(force=True)),
    ):
        with pytest.raises(NotFound):
            await call
    assert world.engine.containers[made.id].status == "running"


async def test_an_administrator_means_their_own_before_others(world: World) -> None:
    await make(world, ALICE)
    await make(world, BOB)
    with pytest.raises(Conflict, match=r"alice\.web, bob\.web|bob\.web, alice\.web"):
        await world.containers.get(ADMIN, "web")
    assert (await world.containers.get(ADMIN, "bob.web")).owner == "bob"
    await make(world, ADMIN)
    assert (await world.containers.get(ADMIN, "web")).owner == "admin"


async def test_lists_are_ones_own_and_newest_first(world: World) -> None:
    for name in ("one", "two", "three"):
        await make(world, ALICE, name)
    await make(world, BOB, "other")
    await world.containers.stop(ALICE, "two", PLAIN, PLAIN)

    async def listed(caller: Account, **query: Any) -> list[str]:
        page = await world.containers.list(caller, ContainerQuery(**query))
        return [item.name for item in page.items]

    assert await listed(ALICE) == ["three", "two", "one"]
    assert await listed(ALICE, limit=1, offset=1) == ["two"]
    assert await listed(ALICE, status="exited") == ["two"]
    assert await listed(ADMIN) == ["other", "three", "two", "one"]
    assert (await world.containers.list(ALICE, ContainerQuery(limit=1))).total == 3


async def test_a_list_asks_neither_engine_nor_store(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make(world)
    before = len(world.engine.calls)
    monkeypatch.setattr(world.store, "read", None)
    assert (await world.containers.list(ALICE, ContainerQuery())).total == 1
    assert len(world.engine.calls) == before


async def test_start_and_stop_twice_change_nothing_the_second_time(world: World) -> None:
    await make(world)
    assert not (await world.containers.start(ALICE, "web")).changed
    stopped = await world.containers.stop(ALICE, "web", StopOptions(timeout=3), PLAIN)
    assert stopped.changed
    assert stopped.value.engine.status == "exited"
    assert "stop 3" in world.engine.calls
    assert not (await world.containers.stop(ALICE, "web", PLAIN, PLAIN)).changed
    started = await world.containers.start(ALICE, "web")
    assert started.changed
    assert started.value.engine.status == "running"
    restarted = await world.containers.restart(ALICE, "web", PLAIN, StopOptions(timeout=2))
    assert restarted.changed
    assert "stop 2" in world.engine.calls


async def test_a_paused_container_goes_on_when_started(world: World) -> None:
    made = await make(world)
    world.engine._set(made.id, status="paused")
    assert (await world.containers.start(ALICE, "web")).value.engine.status == "running"


async def test_deleting_a_running_container(world: World) -> None:
    await make(world, name="stopped-first")
    await make(world, name="refused")
    await make(world, name="killed")
    await world.containers.delete(ALICE, "stopped-first", DeleteQuery(volumes=True))
    assert "stop 10" in world.engine.calls
    assert "remove force=True volumes=True" in world.engine.calls
    with pytest.raises(Conflict, match="is running"):
        await world.containers.delete(ALICE, "refused", DeleteQuery(force=False))
    world.engine.calls.clear()
    await world.containers.delete(ALICE, "killed", DeleteQuery(force=True))
    assert not any(call.startswith("stop") for call in world.engine.calls)
    await world.containers.stop(ALICE, "refused", PLAIN, PLAIN)
    await world.containers.delete(ALICE, "refused", DeleteQuery(force=False))
    assert world.engine.containers == {}


async def test_changing_a_container(world: World) -> None:
    made = await make(world)
    await make(world, name="taken")
    changed = await world.containers.update(
        ALICE, "web", ContainerChange(name="site", cpu=1.5, mem=512, restart_policy="always")
    )
    shown = views.detail(changed)
    assert (shown["name"], shown["cpu"], shown["mem"]) == ("site", 1.5, 512)
    assert shown["memory_bytes"] == 512 << 20
    assert shown["restart_policy"] == "always"
    assert world.engine.containers[made.id].name == "alice.site"
    with pytest.raises(Conflict):
        await world.containers.update(ALICE, "site", ContainerChange(name="taken"))
    with pytest.raises(InvalidRequest, match="4 cores"):
        await world.containers.update(ALICE, "site", ContainerChange(cpu=64))
    unlimited = await world.containers.update(ALICE, "site", ContainerChange(cpu=0, mem=0))
    assert views.detail(unlimited)["cpu"] == 4


async def test_a_name_that_the_engine_refuses_is_given_back(world: World) -> None:
    await make(world)
    world.engine.add_container("alice.site", "busybox:latest")
    with pytest.raises(Conflict):
        await world.containers.update(ALICE, "web", ContainerChange(name="site"))
    assert (await world.containers.get(ALICE, "web")).name == "web"


async def test_a_port_is_taken_by_one_container(world: World) -> None:
    await make(world, ports={"80/tcp": 8080, "53/udp": 8080})
    with pytest.raises(Conflict, match="8080") as caught:
        await make(world, BOB, ports={"8000": 8080})
    assert caught.value.kind == "port"
    assert (await world.containers.list(BOB, ContainerQuery())).total == 0
    await world.containers.stop(ALICE, "web", PLAIN, PLAIN)
    with pytest.raises(Conflict):
        await make(world, BOB, ports={"8000": 8080})
    await world.containers.delete(ALICE, "web", DeleteQuery())
    await make(world, BOB, ports={"8000": 8080})


async def test_a_port_of_a_foreign_process_leaves_nothing_behind(world: World) -> None:
    world.engine.busy_ports.add(8080)
    with pytest.raises(Conflict, match="Port 8080") as caught:
        await make(world, ports={"80/tcp": 8080})
    assert caught.value.fields == {"ports": "8080 is taken"}
    world.engine.busy_ports.clear()
    await make(world, ports={"80/tcp": 8080})
    assert len(world.engine.containers) == 1


async def test_free_ports_are_picked(world: World) -> None:
    made = await make(world, ports={"80/tcp": None, "81/tcp": 0})
    first, second = made.engine.ports.values()
    assert first != second
    assert all(20_000 <= port <= 32_000 for port in (first, second) if port)


async def test_low_ports_are_refused(world: World) -> None:
    with pytest.raises(InvalidRequest, match="begin at 1024"):
        await make(world, ports={"80/tcp": 80})


async def test_more_than_the_machine_has_is_refused(world: World) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await make(world, cpu=100, mem=1 << 20)
    assert set(caught.value.fields) == {"cpu", "mem"}


async def test_two_who_want_one_name_at_once(world: World) -> None:
    results = await asyncio.gather(*(make(world) for _ in range(5)), return_exceptions=True)
    assert sum(isinstance(result, Container) for result in results) == 1
    assert sum(isinstance(result, Conflict) for result in results) == 4
    assert len(world.engine.containers) == 1


async def test_a_caller_who_goes_away_cancels_nothing(world: World) -> None:
    task = asyncio.ensure_future(make(world))
    await asyncio.sleep(0.02)
    task.cancel()
    await world.settled()
    page = await world.containers.list(ALICE, ContainerQuery())
    assert [item.name for item in page.items] == ["web"]


async def test_everybody_hears_of_their_own(world: World) -> None:
    own = world.bus.subscribe(ALICE, ["containers"])
    others = world.bus.subscribe(BOB, ["containers"])
    made = await make(world)
    await world.containers.delete(ALICE, "web", DeleteQuery())
    event = await asyncio.wait_for(anext(own), 5)
    assert event.data == {"event": "removed", "id": made.id, "cid": made.cid, "name": "web"}
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(anext(others), 0.1)


async def test_an_engine_that_goes_away(world: World) -> None:
    await make(world)
    world.engine.go_away()
    await asyncio.sleep(0.05)
    page = await world.containers.list(ALICE, ContainerQuery())
    assert page.total == 1
    assert page.extra["stale_since"] is not None
    assert views.detail(await world.containers.get(ALICE, "web"))["stale_since"] is not None
    with pytest.raises(Unavailable):
        await world.containers.stop(ALICE, "web", PLAIN, PLAIN)
    with pytest.raises(Unavailable):
        await make(world, name="other")
    assert world.bus.of("engine")[-1]["available"] is False
    assert world.service.probe()[0] == "stopped"
    world.engine.come_back()
    await asyncio.sleep(1.3)
    page = await world.containers.list(ALICE, ContainerQuery())
    assert page.extra["stale_since"] is None
    # The claim of what could not be made is free.
    await make(world, name="other")


async def test_an_account_with_containers_stays(world: World) -> None:
    await make(world)
    assert await world.service.belongings.owned(ALICE) == ["container web"]
    assert await world.service.belongings.owned(BOB) == []


async def test_containers_are_given_away(world: World) -> None:
    await make(world)
    await make(world, BOB)
    with pytest.raises(Conflict, match="bob has containers of these names already: web"):
        await world.service.belongings.transfer(ALICE, BOB)
    await world.containers.update(BOB, "web", ContainerChange(name="other"))
    await world.service.belongings.transfer(ALICE, BOB)
    assert (await world.containers.list(ALICE, ContainerQuery())).total == 0
    page = await world.containers.list(BOB, ContainerQuery())
    assert sorted(item.name for item in page.items) == ["other", "web"]
    names = {container.name for container in await world.engine.list_containers()}
    assert names == {"bob.other", "bob.web"}


async def test_containers_are_purged(world: World) -> None:
    await make(world)
    await make(world, BOB)
    await world.service.belongings.purge(ALICE)
    assert (await world.containers.list(ALICE, ContainerQuery())).total == 0
    names = {container.name for container in await world.engine.list_containers()}
    assert names == {"bob.web"}


async def test_the_owner_of_the_server_uses_the_engines_own_network(world: World) -> None:
    await make(world, ADMIN)
    assert world.engine.specs["admin.web"].network is None
    world.defaults.owner_network = "mine"
    await make(world, ADMIN, "second")
    assert world.engine.networks == ["mine"]
