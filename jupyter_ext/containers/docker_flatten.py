"""Saving a container as an image of one layer: files exported and imported, settings added.

The export has the container's files as they are: owners, modes, links, devices and capabilities.
What is mounted into it, volumes included, is not in it, as with a commit. Nothing of it is kept
here: what the engine sends goes back to it as it comes.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ..errors import Conflict, NotFound, PlatformError, Unavailable
from .docker_images import kept_environment
from .docker_link import EngineLink
from .docker_logs import require_end
from .image_types import FlattenProgress
from .marks import PART

if TYPE_CHECKING:
    from .docker_client import EngineClient
    from .docker_http import EngineStream

#: Seconds between two reports.
REPORT_EVERY = 0.2

#: Seconds before each look for what is left: the engine may only just be at its end with it.
SWEEPS = (0.0, 0.5, 2.0, 5.0)

_SETTINGS = (
    *("Cmd", "Entrypoint", "Env", "ExposedPorts", "Healthcheck", "Labels", "OnBuild", "Shell"),
    *("StopSignal", "StopTimeout", "User", "Volumes", "WorkingDir"),
)

_log = logging.getLogger(__name__)


async def layers(link: EngineLink, container: str) -> int:
    """Count the layers of the image that a container is based on; 0 where that is gone."""

    def count(client: EngineClient) -> int:
        from docker.errors import ImageNotFound

        try:
            image = client.inspect_image(client.inspect_container(container)["Image"])
        except ImageNotFound:
            return 0
        return len((image.get("RootFS") or {}).get("Layers") or ())

    return await link.look(count, ("container", container))


async def flatten(
    link: EngineLink,
    container: str,
    repository: str,
    tag: str,
    labels: Mapping[str, str],
    mark: str,
    deadline: float,
) -> AsyncGenerator[FlattenProgress, None]:
    """Save a container's files as an image of one layer, and yield how far that is.

    A running container stands still while its files are read, after a report that says so. Of its
    environment the same is kept as by a commit. The last report names the image.

    Parameters
    ----------
    mark
        What is made on the way has it as label `PART`, for `sweep`; nobody else may guess it.
    deadline
        Seconds that the engine may take to measure the container, and to end.

    Raises
    ------
    NotFound
        The container is gone.
    Unavailable
        The engine does not answer, or its disk is full.
    """
    subject = ("container", container)
    found = await link.wait(_measured, subject, deadline, container)
    still = _Still(link, container, found["State"])
    total, moved = int(found.get("SizeRootFs") or 0), 0
    export: EngineStream | None = None

    async def files(export: EngineStream) -> AsyncIterator[bytes]:
        nonlocal moved
        while data := await export.read():
            moved += len(data)
            yield data
        require_end(export)
        await still.end()

    importing: asyncio.Future[str] | None = None
    try:
        try:
            if still.needed:
                await link.ping()
                yield FlattenProgress(0, total, pauses_after=link.engine_time)
            await still.begin()
            export = await link.stream(
                "GET", f"/containers/{container}/export", subject, deadline=60
            )
            importing = asyncio.ensure_future(_import(link, files(export), mark))
            while not (await asyncio.wait((importing,), timeout=REPORT_EVERY))[0]:
                yield FlattenProgress(moved, total)
            base = importing.result()
        finally:
            if export is not None:
                export.close()
            if importing is not None:
                importing.cancel()
                await asyncio.gather(importing, return_exceptions=True)
            await still.end()
        settings = _settings(found["Config"], found["kept"], labels)
        finishing = asyncio.ensure_future(
            link.wait(_finish, subject, deadline, base, settings, repository, tag)
        )
        try:
            image = await asyncio.shield(finishing)
        except asyncio.CancelledError:
            # Too late: it is a matter of a moment now, and half of it would be worse.
            image = await finishing
    except BaseException:
        link.chores.tidy(lambda: _sweep_for_a_while(link, mark))
        raise
    yield FlattenProgress(moved, total, image)


def _measured(client: EngineClient, container: str) -> dict[str, Any]:
    """Inspect a container with its size, and add what its image has to say."""
    params = {"size": "true"}
    found: dict[str, Any] = client.get_json("/containers/{0}/json", container, params=params)
    # The shell of a build is the image's alone: its containers don't know it.
    found["Config"] = {"Shell": _shell(client, found["Image"]), **found["Config"]}
    return found | {"kept": kept_environment(client, found)}


def _shell(client: EngineClient, image: str) -> list[str] | None:
    from docker.errors import ImageNotFound

    try:
        shell: list[str] | None = client.inspect_image(image)["Config"].get("Shell")
    except ImageNotFound:
        return None
    return shell


async def _import(link: EngineLink, files: AsyncIterator[bytes], mark: str) -> str:
    """Have the engine make an image of a tar, and return the image's id."""
    image = ""
    async with await link.stream(
        "POST",
        "/images/create",
        ("image", mark),
        params={"fromSrc": "-", "changes": f"LABEL {PART}={mark}"},
        headers={"Content-Type": "application/x-tar"},
        body=files,
        deadline=None,
    ) as stream:
        async for item in stream.objects():
            if "error" in item:
                raise stream.failure(str(item["error"]))
            status = str(item.get("status", ""))
            image = status if status.startswith("sha256:") else image
        require_end(stream)
    if not image:
        raise Unavailable("Docker did not say which image it made.", "Try again.")
    return image


def _settings(
    config: Mapping[str, Any], environment: list[str], labels: Mapping[str, str]
) -> dict[str, Any]:
    """Return what of a container's configuration is the image's, too."""
    kept = {name: config[name] for name in _SETTINGS if config.get(name)}
    merged = {**(config.get("Labels") or {}), **labels, PART: ""}
    return kept | {"Env": environment, "Labels": merged}


def _finish(
    client: EngineClient, base: str, settings: Mapping[str, Any], repository: str, tag: str
) -> str:
    """Make the image of what was imported and of settings.

    By a commit of a container that never runs, which adds no layer: unlike the instructions that an
    import takes, its settings are plain values, and all are there.
    """
    made = client.create_container_from_config({"Image": base, "Cmd": ["-"]})["Id"]
    try:
        saved = client.commit(made, repository, tag, pause=False, conf=settings)
    finally:
        client.remove_container(made, force=True, v=True)
    return str(saved["Id"])


class _Still:
    """Keeps a running container from changing its files, unless somebody paused it before."""

    def __init__(self, link: EngineLink, container: str, state: Mapping[str, Any]) -> None:
        self._link = link
        self._container = container
        self.needed = bool(state.get("Running")) and not state.get("Paused")
        self._held = False

    async def begin(self) -> None:
        """Pause it."""
        if not self.needed:
            return
        self._held = True
        try:
            await self._act("pause")
        except Conflict:
            # Its owner was faster, or it ended.
            self._held = False
            raise

    async def end(self) -> None:
        """Let it go on, at the latest when the engine answers again."""
        if not self._held:
            return
        self._held = False
        try:
            await self._go_on()
        except (Unavailable, asyncio.CancelledError) as error:
            self._link.chores.tidy(self._go_on)
            if isinstance(error, asyncio.CancelledError):
                raise
            _log.warning("%s is paused until Docker answers: %s", self._container[:12], error)

    async def _go_on(self) -> None:
        await _go_on(self._link, self._container)

    async def _act(self, verb: str) -> None:
        await _act(self._link, self._container, verb)


async def _go_on(link: EngineLink, container: str) -> None:
    # Somebody may have been faster, or have removed it.
    with suppress(Conflict, NotFound):
        await _act(link, container, "unpause")


async def _act(link: EngineLink, container: str, verb: str) -> None:
    await link.act(
        lambda client: client.act(f"/containers/{{0}}/{verb}", container),
        ("container", container),
        60.0,
    )


async def release(link: EngineLink, container: str, since: float) -> None:
    """Let a container go on that a `flatten` which came to no end paused, and nobody has since.

    Parameters
    ----------
    since
        What `FlattenProgress.pauses_after` said.
    """
    await link.ping()
    # Its time is cut to the second.
    until = (link.engine_time or since) + 1
    filters = {"container": [container], "event": ["pause", "unpause", "start", "die"]}
    params = {"since": f"{since:.0f}", "until": f"{until:.0f}", "filters": json.dumps(filters)}
    subject = ("container", container)
    async with await link.stream("GET", "/events", subject, params=params) as stream:
        actions = [str(item.get("Action")) async for item in stream.objects()]
    # An engine keeps its last 256 events: where it forgot the pause, it tells of what came after.
    first = actions.index("pause") + 1 if "pause" in actions else 0
    if not actions[first:]:
        await _go_on(link, container)


async def sweep(link: EngineLink, mark: str) -> None:
    """Remove what a `flatten` made on its way, where it came to no end."""

    def work(client: EngineClient) -> None:
        from docker.errors import NotFound as Gone

        filters = {"label": f"{PART}={mark}"}
        for item in client.containers(all=True, filters=filters):
            with suppress(Gone):
                client.remove_container(item["Id"], force=True, v=True)
        bases = {item["Id"] for item in client.images(all=True, filters=filters)}
        above = [item for item in client.images(all=True) if item.get("ParentId") in bases]
        made = [item["Id"] for item in above if not _named(item)]
        # What came to its end stands on its base, and goes with its name.
        bases -= {item["ParentId"] for item in above if _named(item)}
        for image in (*made, *bases):
            # With the last that was made of it goes what it was made of.
            with suppress(Gone):
                client.remove_image(image)

    await link.act(work, ("image", mark), 60.0)


def _named(item: Mapping[str, Any]) -> bool:
    return any(not tag.startswith("<none>") for tag in item.get("RepoTags") or ())


async def _sweep_for_a_while(link: EngineLink, mark: str) -> None:
    for pause in SWEEPS:
        await asyncio.sleep(pause)
        try:
            await sweep(link, mark)
        except Unavailable:
            raise
        except PlatformError as error:
            _log.info("What is left of a save can't be removed yet: %s", error)
