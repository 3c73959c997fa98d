"""Images: pulled, seen, deleted; and containers whose image has to be pulled first."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from jupyter_ext.accounts.schemas import Account
from jupyter_ext.containers import views
from jupyter_ext.containers.image_registry import Origin
from jupyter_ext.containers.image_types import EngineImage
from jupyter_ext.containers.marks import PART, REFITTED
from jupyter_ext.containers.references import PRIVATE_NAMESPACE
from jupyter_ext.containers.schemas import (
    ContainerQuery,
    DeleteQuery,
    ImageDeleteQuery,
    NewContainer,
    PageQuery,
    PullBody,
)
from jupyter_ext.containers.views import Container, Image
from jupyter_ext.errors import Conflict, Forbidden, InvalidRequest, NotFound, RateLimited
from jupyter_ext.operations import OperationQuery, Running

from .conftest import ADMIN, ALICE, BOB, World
from .memory_engine import DAY_ONE

NGINX = "sha256:" + "11" * 32
DIGEST = "sha256:" + "22" * 32
PRIVATE = f"{PRIVATE_NAMESPACE}/bob/tool:latest"
PAGE = PageQuery()


async def pull(world: World, caller: Account = ALICE, name: str = "nginx") -> Image:
    running = await world.images.pull(caller, PullBody(name=name))
    return await running.wait()


async def tags(world: World, caller: Account) -> list[str]:
    page = await world.images.list(caller, PAGE)
    return [tag for item in page.items for tag in item.engine.tags]


async def create(world: World, image: str, caller: Account = ALICE) -> Container:
    made = await world.containers.create(caller, NewContainer(name="web", image=image))
    return await made.wait() if isinstance(made, Running) else made


async def own(world: World, tag: str = PRIVATE) -> str:
    """Put an image there that was committed by bob."""
    id_ = world.engine.add_image(tag, digests=(f"registry:5000/x@{DIGEST}",))
    await world.settled()
    known = world.images.registry.by_engine[id_]
    assert (known.owner, known.public) == (BOB.id, False)
    return id_


async def test_the_first_number_is_reserved(world: World) -> None:
    page = await world.images.list(ALICE, PAGE)
    assert [views.image(item)["iid"] for item in page.items] == [2]


async def test_a_pulled_image_is_everybodys(world: World) -> None:
    world.engine.registry["nginx:latest"] = NGINX
    shown = views.image(await pull(world))
    assert shown["tags"] == ["nginx:latest"]
    assert shown["size"] == 2000
    assert (shown["owner"], shown["public"]) == (None, True)
    assert "nginx:latest" in await tags(world, BOB)
    changed = [data["image"]["tags"] for data in world.bus.of("images") if "image" in data]
    assert ["nginx:latest"] in changed


async def test_a_pull_is_an_operation_that_tells_of_layers(world: World) -> None:
    world.engine.registry["nginx:latest"] = NGINX
    world.engine.pull_gate.clear()
    running = await world.images.pull(ALICE, PullBody(name="nginx"))
    await asyncio.sleep(0.1)
    current = running.current()
    assert current.kind == "image.pull"
    assert current.progress == 0.3
    assert current.details["layers"][0]["current"] == 5
    world.engine.pull_gate.set()
    await running.wait()
    assert running.current().state == "succeeded"
    assert running.current().result["tags"] == ["nginx:latest"]


async def test_two_who_pull_the_same_share_it(world: World) -> None:
    world.engine.registry["nginx:latest"] = NGINX
    world.engine.pull_gate.clear()
    first = await world.images.pull(ALICE, PullBody(name="nginx"))
    second = await world.images.pull(BOB, PullBody(name="docker.io/library/nginx"))
    await asyncio.sleep(0.1)
    # One of the two going away leaves the other's pull alone.
    await world.operations.cancel(ALICE, first.operation.id)
    world.engine.pull_gate.set()
    assert (await second.wait()).engine.id == NGINX
    assert world.engine.pulls == 1


async def test_a_pull_ends_with_the_last_who_waits(world: World) -> None:
    world.engine.pull_gate.clear()
    running = await world.images.pull(ALICE, PullBody(name="nginx"))
    await asyncio.sleep(0.1)
    await world.operations.cancel(ALICE, running.operation.id)
    assert world.images._pulls._running == {}


async def test_what_can_not_be_pulled_says_why(world: World) -> None:
    with pytest.raises(NotFound, match="can't be pulled"):
        await pull(world, name="nowhere")


async def test_a_missing_image_is_pulled_first(world: World) -> None:
    world.engine.registry["nginx:latest"] = NGINX
    made = await world.containers.create(ALICE, NewContainer(name="web", image="nginx"))
    assert isinstance(made, Running)
    shown = views.detail(await made.wait())
    assert shown["status"] == "running"
    assert [step["step"] for step in shown["startup"]] == ["pull", "start"]
    operation = made.current()
    assert operation.kind == "container.create"
    # What is kept shows no variable, which may be a password.
    assert "config" not in operation.result


async def test_a_pull_that_fails_gives_the_name_back(world: World) -> None:
    with pytest.raises(NotFound, match="can't be pulled"):
        await create(world, "nowhere")
    assert (await world.containers.list(ALICE, ContainerQuery())).total == 0
    await create(world, "busybox")


async def test_a_name_is_taken_while_the_image_is_pulled(world: World) -> None:
    world.engine.pull_gate.clear()
    running = await world.containers.create(ALICE, NewContainer(name="web", image="nginx"))
    assert isinstance(running, Running)
    with pytest.raises(Conflict):
        await create(world, "busybox")
    await world.operations.cancel(ALICE, running.operation.id)
    await create(world, "busybox")


async def test_an_image_that_vanished_is_pulled_again(world: World) -> None:
    world.engine.registry["busybox:latest"] = NGINX
    world.engine.images.clear()
    made = await create(world, "busybox")
    assert made.engine.image_id == NGINX


async def test_an_image_that_just_came_is_not_pulled(world: World) -> None:
    world.engine.add_image("fresh:latest")
    await create(world, "fresh")
    assert world.engine.pulls == 0


@pytest.mark.parametrize("spelling", ["tag", "id", "short", "digest", "registry", "hub"])
async def test_no_spelling_reaches_somebody_elses_image(world: World, spelling: str) -> None:
    id_ = await own(world)
    text = {
        "tag": PRIVATE,
        "id": id_,
        "short": id_.removeprefix("sha256:")[:12],
        "digest": f"registry:5000/x@{DIGEST}",
        "registry": f"docker.io/{PRIVATE}",
        "hub": f"index.docker.io/{PRIVATE}",
    }[spelling]
    with pytest.raises(NotFound):
        await create(world, text)
    with pytest.raises(NotFound):
        await world.images.delete(ALICE, text, ImageDeleteQuery(force=True))
    assert not any(call.startswith(f"pull {PRIVATE_NAMESPACE}") for call in world.engine.calls)
    assert not any(item.image_id == id_ for item in world.engine.containers.values())
    assert (await create(world, text, BOB)).engine.image_id == id_


async def test_a_number_does_not_reach_somebody_elses_image(world: World) -> None:
    id_ = await own(world)
    iid = world.service.image_keeper.iid(id_)
    with pytest.raises(NotFound):
        await world.images.delete(ALICE, str(iid), ImageDeleteQuery())


async def test_somebody_elses_image_is_not_listed(world: World) -> None:
    await own(world)
    assert PRIVATE not in await tags(world, ALICE)
    assert PRIVATE in await tags(world, BOB)
    assert PRIVATE in await tags(world, ADMIN)
    mine = world.bus.subscribe(ALICE, ["images"])
    await own(world, f"{PRIVATE_NAMESPACE}/bob/second:latest")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(anext(mine), 0.1)


@pytest.mark.parametrize("label", [PART, REFITTED])
async def test_what_is_not_finished_or_of_one_container_is_shown_to_nobody(
    world: World, label: str
) -> None:
    id_ = f"sha256:{'44' * 32}"
    value = world.store.secrets.seals("op-1")[0]
    made = EngineImage(id_, (), (), 5, DAY_ONE, labels={label: value})
    world.engine.images[id_] = made
    await world.service.image_keeper.refresh()
    seen = [item.engine.id for item in (await world.images.list(ADMIN, PAGE)).items]
    assert id_ not in seen
    assert not any(id_ in str(data) for data in world.bus.of("images"))
    # Once it is, the label is empty.
    world.engine.images[id_] = replace(made, labels={label: ""})
    await world.service.image_keeper.refresh()
    assert any(id_ in str(data) for data in world.bus.of("images"))


@pytest.mark.parametrize("label", [PART, REFITTED])
async def test_an_image_whose_recipe_has_our_labels_is_seen(world: World, label: str) -> None:
    id_ = world.engine.add_image("lookalike:latest")
    labels = {label: "op-1.0123456789abcdef0123456789abcdef"}
    world.engine.images[id_] = replace(world.engine.images[id_], labels=labels)
    await world.service.image_keeper.refresh()
    assert "lookalike:latest" in await tags(world, ALICE)
    assert any("lookalike:latest" in str(data) for data in world.bus.of("images"))


async def test_an_image_that_has_the_label_of_a_remade_container_under_another_name_is_seen(
    world: World,
) -> None:
    name = f"{PRIVATE_NAMESPACE}/bob/refitted-7:latest"
    for tag in (name, f"{PRIVATE_NAMESPACE}/bob/from-it:latest"):
        id_ = world.engine.add_image(tag)
        world.engine.images[id_] = replace(world.engine.images[id_], labels={REFITTED: name})
    await world.service.image_keeper.refresh()
    seen = await tags(world, BOB)
    assert f"{PRIVATE_NAMESPACE}/bob/from-it:latest" in seen
    assert name not in seen


async def test_the_namespace_of_committed_images_can_not_be_pulled(world: World) -> None:
    with pytest.raises(NotFound):
        await world.images.pull(ALICE, PullBody(name=PRIVATE))


async def test_who_pulled_an_image_may_delete_it(world: World) -> None:
    world.engine.registry["nginx:latest"] = NGINX
    pulled = await pull(world)
    with pytest.raises(Forbidden):
        await world.images.delete(BOB, "nginx", ImageDeleteQuery())
    assert await world.images.delete(ALICE, str(pulled.iid), ImageDeleteQuery()) == {"id": NGINX}
    assert "nginx:latest" not in await tags(world, ALICE)
    removed = [data for data in world.bus.of("images") if data["event"] == "removed"]
    assert removed == [{"event": "removed", "id": NGINX, "iid": pulled.iid}]


async def test_pulling_what_is_here_gives_no_right_to_delete_it(world: World) -> None:
    (id_,) = world.engine.images
    world.engine.registry["busybox:latest"] = id_
    await pull(world, name="busybox")
    with pytest.raises(Forbidden):
        await world.images.delete(ALICE, "busybox", ImageDeleteQuery())
    await world.images.delete(ADMIN, "busybox", ImageDeleteQuery())


async def test_an_image_in_use_stays_and_says_by_whom(world: World) -> None:
    world.engine.registry["nginx:latest"] = NGINX
    await pull(world)
    await create(world, "nginx", ALICE)
    await create(world, "nginx", BOB)
    for force in (False, True):
        with pytest.raises(Conflict, match="web, 1 of other users"):
            await world.images.delete(ALICE, "nginx", ImageDeleteQuery(force=force))
    await world.containers.delete(ALICE, "web", DeleteQuery())
    await world.containers.delete(BOB, "web", DeleteQuery())
    await world.images.delete(ALICE, "nginx", ImageDeleteQuery())


async def test_one_of_several_names_is_taken_away(world: World) -> None:
    world.engine.registry["nginx:latest"] = world.engine.registry["nginx:1"] = NGINX
    await pull(world)
    await pull(world, name="nginx:1")
    with pytest.raises(Conflict, match="several names"):
        await world.images.delete(ALICE, NGINX, ImageDeleteQuery())
    await world.images.delete(ALICE, "nginx:1", ImageDeleteQuery())
    assert "nginx:latest" in await tags(world, ALICE)
    await pull(world, name="nginx:1")
    await world.images.delete(ADMIN, NGINX, ImageDeleteQuery(force=True))
    assert "nginx:latest" not in await tags(world, ALICE)


async def test_all_names_of_a_public_image_are_not_its_pullers(world: World) -> None:
    world.engine.registry["nginx:latest"] = world.engine.registry["nginx:1"] = NGINX
    await pull(world)
    await pull(world, BOB, "nginx:1")
    with pytest.raises(Forbidden, match="only an administrator"):
        await world.images.delete(ALICE, NGINX, ImageDeleteQuery(force=True))
    assert {"nginx:latest", "nginx:1"} <= set(await tags(world, BOB))


async def test_all_names_of_ones_own_image_go_by_force(world: World) -> None:
    id_ = await own(world)
    image = world.engine.images[id_]
    world.engine.images[id_] = replace(image, tags=(*image.tags, f"{PRIVATE}-2"))
    await world.service.image_keeper.refresh()
    with pytest.raises(Conflict, match="all with force"):
        await world.images.delete(BOB, id_, ImageDeleteQuery())
    await world.images.delete(BOB, id_, ImageDeleteQuery(force=True))
    assert PRIVATE not in await tags(world, BOB)


async def test_no_more_pulls_at_once_than_an_operator_allows(world: World) -> None:
    world.defaults.pulls_at_once = 2
    world.engine.pull_gate.clear()
    begun = [
        await world.images.pull(ALICE, PullBody(name=name)) for name in ("nginx", "python", "nginx")
    ]
    await asyncio.sleep(0.1)
    with pytest.raises(RateLimited, match="nginx:latest, python:latest, and 2 images at once"):
        await world.images.pull(ALICE, PullBody(name="redis"))
    with pytest.raises(RateLimited):
        await create(world, "redis")
    assert (await world.containers.list(ALICE, ContainerQuery())).total == 0
    # What is pulled already is no further pull, and everybody has a limit of their own.
    begun.append(await world.images.pull(ALICE, PullBody(name="python")))
    begun.append(await world.images.pull(BOB, PullBody(name="redis")))
    begun += [await world.images.pull(ADMIN, PullBody(name=name)) for name in "abcd"]
    world.engine.pull_gate.set()
    for running in begun:
        await running.ended()
    with pytest.raises(NotFound, match="can't be pulled"):
        await pull(world, name="redis")


async def test_an_image_that_is_not_there(world: World) -> None:
    for ref in ("nothing", "99", "sha256:" + "0" * 64, "No Name"):
        with pytest.raises(NotFound):
            await world.images.delete(ADMIN, ref, ImageDeleteQuery())
    with pytest.raises(NotFound):
        await create(world, "sha256:" + "0" * 64)
    assert world.engine.pulls == 0


async def test_the_beginning_of_several_ids(world: World) -> None:
    for last in "ab":
        id_ = "sha256:" + "33" * 31 + f"3{last}"
        await world.images.registry.adopt({id_: Origin()})
        world.engine.registry[f"x:{last}"] = id_
        await pull(world, name=f"x:{last}")
    with pytest.raises(InvalidRequest, match="several ids"):
        await create(world, "33" * 10)


async def test_images_that_an_operator_allows(world: World) -> None:
    world.defaults.allow_image = r"(nginx|python):.*"
    world.engine.registry["nginx:latest"] = NGINX
    with pytest.raises(Forbidden, match="not allowed"):
        await create(world, "busybox")
    (busybox,) = world.engine.images
    with pytest.raises(Forbidden):
        await create(world, busybox)
    with pytest.raises(Forbidden):
        await world.images.pull(ALICE, PullBody(name="other"))
    await create(world, "nginx")
    await create(world, "busybox", ADMIN)
    world.defaults.allow_image = lambda account, name: account == BOB
    await create(world, "busybox", BOB)


async def test_a_subscription_begins_with_what_there_is(world: World) -> None:
    told: dict[str, Any] = await world.images.snapshot(ALICE, {})
    assert [item["tags"] for item in told["items"]] == [["busybox:latest"]]


async def test_pulls_are_their_callers_operations(world: World) -> None:
    await (await world.images.pull(ALICE, PullBody(name="nowhere"))).ended()
    listed = await world.operations.list(ALICE, OperationQuery(kind="image.pull"))
    assert listed.total == 1
    assert (await world.operations.list(BOB, OperationQuery())).total == 0
