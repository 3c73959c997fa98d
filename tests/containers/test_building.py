"""The notebook image's builds, on a real engine, of recipes that take a moment."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from jupyter_ext.containers import building, views
from jupyter_ext.containers.building import BUILD, ImageBuilder, NewBuild
from jupyter_ext.containers.docker_driver import DockerDriver
from jupyter_ext.containers.marks import HOME, NOTEBOOK
from jupyter_ext.containers.schemas import ImageDeleteQuery, NewContainer
from jupyter_ext.containers.views import Container, Image
from jupyter_ext.errors import Conflict, InvalidRequest, NotFound
from jupyter_ext.operations import Running
from jupyter_ext.operations.schemas import Operation, Recovered
from jupyter_ext.store import utcnow

from ..engines.dockerd import Dockerd
from ..engines.steps import until
from .conftest import ADMIN, ALICE, World

pytestmark = pytest.mark.docker

TAG = "jupyter-ext/notebook:latest"
QUICK = "RUN echo one > /one"
LONG = "RUN echo begun; sleep 1000"


class Recipe:
    """A recipe that is no notebook's, and changes with every test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, *lines: str) -> None:
        text = ["ARG BASE", "FROM ${BASE}", f"LABEL {NOTEBOOK}=notebook", *lines]
        (self.folder / "Dockerfile").write_text("\n".join(text) + "\n")


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recipe:
    folder = tmp_path / "recipe"
    folder.mkdir()
    monkeypatch.setattr(building, "RECIPE", folder)
    return Recipe(folder)


@pytest.fixture
def desk(
    docker_engine: Dockerd,
    busybox_image: str,
    recipe: Recipe,
    make_world: Callable[..., World],
) -> Iterator[World]:
    """A service on the session's engine, which is left as it was found."""
    before = set(listed(docker_engine))
    yield make_world(cast(Any, DockerDriver(address=docker_engine.url)))
    docker_engine.clean()
    docker_engine.docker("rmi", "--force", TAG, check=False)
    left = set(listed(docker_engine)) - before
    if left:
        docker_engine.docker("rmi", "--force", *left, check=False)


def listed(engine: Dockerd) -> list[str]:
    # Of images of one second the engine says now this one first, now that.
    return sorted(engine.docker("images", "--quiet", "--no-trunc").split())


def builder(world: World) -> ImageBuilder:
    return next(item for item in world.service.managers if isinstance(item, ImageBuilder))


async def begin(world: World, **body: Any) -> Running[Image]:
    asked = NewBuild.model_validate({"name": "notebook", "base": "busybox", **body})
    return await builder(world).build(ADMIN, asked)


async def build(world: World, **body: Any) -> Image:
    return await (await begin(world, **body)).wait()


async def numbers(world: World, caller: Any = ALICE) -> dict[int, Image]:
    return {item.iid: item for item in await world.images.all(caller) if item.iid}


async def test_it_is_number_one_and_everybodys(desk: World, recipe: Recipe) -> None:
    assert 1 not in await numbers(desk)
    recipe(QUICK)
    running = await begin(desk)
    shown = views.image(await running.wait())
    assert (shown["iid"], shown["tags"]) == (1, [TAG])
    assert (shown["owner"], shown["public"]) == (None, True)
    assert 1 in await numbers(desk)
    operation = running.current()
    assert (operation.kind, operation.state, operation.progress) == (BUILD, "succeeded", 1)
    assert "Step 4/4 : RUN echo one > /one" in operation.log
    # What a message is good for while it goes on.
    assert operation.message == "Step 4 of 4: RUN echo one > /one"


async def test_a_build_that_changes_nothing_keeps_the_image(desk: World, recipe: Recipe) -> None:
    recipe(QUICK)
    first = await build(desk)
    assert (await build(desk)).engine.id == first.engine.id
    assert (await build(desk, fresh=True)).engine.id != first.engine.id


async def test_another_build_replaces_it(
    desk: World, recipe: Recipe, docker_engine: Dockerd
) -> None:
    recipe(QUICK)
    first = await build(desk)
    hidden = set(await numbers(desk, ADMIN)) - set(await numbers(desk))
    recipe("RUN echo two > /two")
    second = await build(desk)
    assert (second.iid, second.engine.tags) == (1, (TAG,))
    assert second.engine.id != first.engine.id
    # Nothing was made of the first, so nothing is left of it.
    assert first.engine.id not in listed(docker_engine)
    assert set(await numbers(desk, ADMIN)) - set(await numbers(desk)) == hidden


async def test_containers_of_the_replaced_one_go_on(
    desk: World, recipe: Recipe, docker_engine: Dockerd
) -> None:
    recipe(QUICK)
    first = await build(desk)
    body = NewContainer(name="work", image=TAG, command=["sleep", "1000"])
    made = await desk.containers.create(ALICE, body)
    assert isinstance(made, Container)
    recipe("RUN echo two > /two")
    await build(desk)
    found = await desk.containers.get(ALICE, "work")
    assert found.engine.running
    assert found.engine.image_id == first.engine.id
    # The old one is the administrators' to delete, and nobody else's to choose.
    assert first.engine.id not in [item.engine.id for item in await desk.images.all(ALICE)]
    assert first.engine.id in [item.engine.id for item in await desk.images.all(ADMIN)]


async def test_a_step_that_fails_is_named_with_its_output(
    desk: World, recipe: Recipe, docker_engine: Dockerd
) -> None:
    recipe(QUICK)
    first = await build(desk)
    before = listed(docker_engine)
    recipe(QUICK, "RUN echo fine", "RUN echo no such thing >&2; exit 7", "RUN echo never")
    running = await begin(desk)
    with pytest.raises(Conflict) as failed:
        await running.wait()
    said = failed.value.message
    assert "it failed at step 6 of 7 (RUN echo no such thing >&2; exit 7)" in said
    assert "returned a non-zero code: 7" in said
    assert said.splitlines()[-1] == "  no such thing"
    assert "fine" not in said
    assert running.current().state == "failed"
    # The one before is still there, and the finished steps of the failed one are not.
    assert listed(docker_engine) == before
    assert (await numbers(desk))[1].engine.id == first.engine.id
    assert docker_engine.docker("ps", "--all", "--quiet") == ""


async def test_a_recipe_that_is_none(desk: World, recipe: Recipe) -> None:
    recipe("SING")
    with pytest.raises(InvalidRequest, match="unknown instruction: SING"):
        await build(desk)


async def test_a_cancelled_build_leaves_nothing(
    desk: World, recipe: Recipe, docker_engine: Dockerd
) -> None:
    before = listed(docker_engine)
    recipe(QUICK, LONG)
    running = await begin(desk)
    await until(lambda: "begun" in running.current().log, "the step")
    with pytest.raises(Conflict, match=f"being built already.*{running.operation.id}"):
        await begin(desk)
    ended = await desk.operations.cancel(ADMIN, running.operation.id)
    await running.ended()
    assert ended.state == "cancelled"
    assert listed(docker_engine) == before
    assert docker_engine.docker("ps", "--all", "--quiet") == ""
    assert 1 not in await numbers(desk, ADMIN)


async def test_what_is_being_built_is_nobodys_to_choose(
    desk: World, recipe: Recipe, docker_engine: Dockerd
) -> None:
    recipe(QUICK, LONG)
    running = await begin(desk)
    await until(lambda: "begun" in running.current().log, "the step")
    await desk.service.image_keeper.refresh()
    seen = [item for item in await desk.images.all(ALICE) if NOTEBOOK in item.engine.labels]
    assert seen == []
    await desk.operations.cancel(ADMIN, running.operation.id)
    await running.ended()


async def test_what_is_saved_of_a_container_is_not_taken_for_a_rest(
    desk: World, recipe: Recipe, docker_engine: Dockerd
) -> None:
    recipe(QUICK)
    await build(desk)
    body = NewContainer(name="work", image=TAG, command=["sleep", "1000"])
    made = await desk.containers.create(ALICE, body)
    assert isinstance(made, Container)
    # As it is for a moment while it is being saved: without a name.
    saved = docker_engine.docker("commit", made.id)
    labels = json.loads(docker_engine.docker("inspect", saved))[0]["Config"]["Labels"]
    assert {NOTEBOOK, HOME} <= labels.keys()
    recipe("RUN exit 1")
    with pytest.raises(Conflict):
        await build(desk)
    assert saved in listed(docker_engine)


async def test_somebody_elses_image_is_no_base(
    desk: World, recipe: Recipe, docker_engine: Dockerd
) -> None:
    recipe(QUICK)
    theirs = "jupyter-ext/bob/tool:latest"
    docker_engine.docker("build", "--tag", theirs, "-", stdin=b"FROM busybox\nLABEL a=b\n")
    await desk.service.image_keeper.refresh()
    with pytest.raises(NotFound):
        await builder(desk).build(ALICE, NewBuild(name="notebook", base=theirs))


async def test_a_crash_before_the_end_is_cleaned_up(
    desk: World, recipe: Recipe, docker_engine: Dockerd
) -> None:
    before = listed(docker_engine)
    recipe(QUICK)
    driver = DockerDriver(address=docker_engine.url)
    async for _ in driver.build(recipe.folder, {"BASE": "busybox:latest"}):
        pass
    await driver.close()
    assert listed(docker_engine) != before
    given = {"base": "busybox:latest", "before": before, "former": None}
    said = await builder(desk).recover(interrupted(), given)
    assert said == "The server stopped while the image was built. Build it again."
    assert listed(docker_engine) == before


async def test_a_crash_after_the_name_is_finished(
    desk: World, recipe: Recipe, docker_engine: Dockerd
) -> None:
    before = listed(docker_engine)
    docker_engine.docker("tag", "busybox:latest", TAG)
    docker_engine.docker(
        "build", "--tag", TAG, "-", stdin=f"FROM busybox\nLABEL {NOTEBOOK}=notebook\n".encode()
    )
    given = {"base": "busybox:latest", "before": before, "former": None}
    said = await builder(desk).recover(interrupted(), given)
    assert isinstance(said, Recovered)
    assert said.succeeded
    assert said.result["iid"] == 1
    assert (await numbers(desk))[1].engine.tags == (TAG,)


def interrupted() -> Operation:
    return Operation(
        id="op-1",
        kind=BUILD,
        subject="notebook",
        owner=ADMIN.id,
        state="running",
        created_at=utcnow(),
    )


async def test_deleted_its_number_stays_reserved(desk: World, recipe: Recipe) -> None:
    recipe(QUICK)
    await build(desk)
    await desk.images.delete(ADMIN, "1", ImageDeleteQuery())
    assert 1 not in await numbers(desk, ADMIN)
    recipe("RUN echo again > /again")
    assert (await build(desk)).iid == 1


def test_base_and_cuda_exclude_each_other() -> None:
    with pytest.raises(ValueError, match="exclude each other"):
        NewBuild(name="notebook", base="busybox", cuda=True)


async def test_the_cuda_base_is_the_operators(desk: World, recipe: Recipe) -> None:
    recipe(QUICK)
    desk.defaults.notebook_cuda_base = "busybox:latest"
    desk.defaults.notebook_build_arguments = {"COLOUR": "green"}
    recipe("ARG COLOUR", "RUN echo painted $COLOUR")
    running = await builder(desk).build(ADMIN, NewBuild(name="notebook", cuda=True))
    assert (await running.wait()).iid == 1
    assert "painted green" in running.current().log
