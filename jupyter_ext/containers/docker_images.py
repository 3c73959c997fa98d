"""Images: list, inspect, name, remove, pull and push."""

from __future__ import annotations

import base64
import io
import json
import re
import time
from collections.abc import AsyncIterator, Collection, Mapping
from typing import TYPE_CHECKING, Any

from ..errors import Forbidden, NotFound, PlatformError, Unavailable
from .docker_link import EngineLink
from .docker_logs import require_end
from .docker_parse import inspected_image, listed_image
from .image_types import EngineImage, LayerProgress, PullProgress, RegistryLogin
from .marks import SAVED

if TYPE_CHECKING:
    from .docker_client import EngineClient

#: Seconds between two reports of a pull's progress.
REPORT_EVERY = 0.1

_UNREACHABLE = ("dial tcp", "no such host", "i/o timeout", "connection refused", "tls:", "eof")
_FORBIDDEN = ("denied", "unauthorized", "authentication required", "no basic auth credentials")
_DONE = ("pull complete", "already exists", "pushed", "layer already exists", "mounted from")


async def list_images(link: EngineLink) -> list[EngineImage]:
    """List images that have a name or are nobody's parent."""
    return await link.look(
        lambda client: [listed_image(item) for item in client.images()], ("images", "")
    )


async def inspect(link: EngineLink, ref: str) -> EngineImage:
    """Read all of one image."""
    return await link.look(
        lambda client: inspected_image(client.inspect_image(ref)), ("image", ref)
    )


async def tag(link: EngineLink, image: str, repository: str, tag: str) -> None:
    """Give an image another name."""
    await link.act(
        lambda client: client.tag(image, repository, tag, force=True),
        ("image", image),
        link.deadline,
    )


async def commit(
    link: EngineLink,
    container: str,
    repository: str,
    tag: str,
    labels: Mapping[str, str],
    deadline: float,
) -> str:
    """Save a container's files as an image, and return the image's id.

    What its environment holds beyond its image's own may be secret, so that it becomes empty: the
    engine's merge can't take a variable away. A running container stands still meanwhile.
    """

    def save(client: EngineClient) -> str:
        found = client.inspect_container(container)
        own = _environment_of(client, found["Image"])
        given = [text for text in found["Config"]["Env"] or () if text not in own]
        conf = {
            "Env": [f"{text.partition('=')[0]}=" for text in given],
            "Labels": {**(found["Config"]["Labels"] or {}), **labels},
        }
        image = str(client.commit(container, pause=True, conf=conf)["Id"])
        try:
            image = _forgetting(client, image, given)
            client.tag(image, repository, tag)
        except BaseException:
            client.remove_image(image)
            raise
        return image

    return await link.wait(save, ("container", container), deadline)


def _forgetting(client: EngineClient, image: str, secrets: Collection[str]) -> str:
    """Return an image of the same layers that says nothing of the container it was made of.

    Engines before 25 keep the container's whole configuration in the image (``ContainerConfig``),
    which goes to registries with it; that of an image that a build makes is the build's.
    """
    kept = client.inspect_image(image).get("ContainerConfig") or {}
    if not any(text in secrets for text in kept.get("Env") or ()):
        return image
    recipe = io.BytesIO(f"FROM {image}\nLABEL {SAVED}=true\n".encode())
    for line in client.build(fileobj=recipe, rm=True, forcerm=True, decode=True):
        if "error" in line:
            raise RuntimeError(f"The saved image can't be cleaned of its secrets: {line['error']}")
        image = (line.get("aux") or {}).get("ID", image)
    return image


def kept_environment(client: EngineClient, found: Mapping[str, Any]) -> list[str]:
    """Return a container's environment without the values that its image does not have."""
    own = _environment_of(client, found["Image"])
    return [
        text if text in own else f"{text.partition('=')[0]}="
        for text in found["Config"]["Env"] or ()
    ]


def _environment_of(client: EngineClient, image: str) -> set[str]:
    """An image's own environment; empty where it is gone, so that all is taken as given."""
    from docker.errors import ImageNotFound

    try:
        return set(client.inspect_image(image)["Config"]["Env"] or ())
    except ImageNotFound:
        return set()


async def remove(link: EngineLink, ref: str, *, force: bool, deadline: float) -> None:
    """Remove an image's name, or the image where it is its last one."""
    await link.act(lambda client: client.remove_image(ref, force=force), ("image", ref), deadline)


def _login(auth: RegistryLogin | None) -> dict[str, str]:
    if auth is None:
        return {"X-Registry-Auth": base64.urlsafe_b64encode(b"{}").decode()}
    words = json.dumps({"username": auth.username, "password": auth.password}).encode()
    return {"X-Registry-Auth": base64.urlsafe_b64encode(words).decode()}


async def pull(
    link: EngineLink, name: str, tag: str, auth: RegistryLogin | None
) -> AsyncIterator[PullProgress]:
    """Pull an image and yield how far it has come; ends when the image is there.

    Raises
    ------
    NotFound
        The image can't be had: the registry does not have it, refuses it or can't be reached.
    Unavailable
        The engine does not answer.
    """
    ref = f"{name}@{tag}" if tag.startswith("sha256:") else f"{name}:{tag or 'latest'}"
    params = {"fromImage": name, "tag": tag or "latest"}
    try:
        # The head comes when the registry has answered the engine.
        async with await link.stream(
            "POST",
            "/images/create",
            ("image", ref),
            params=params,
            headers=_login(auth),
            deadline=None,
        ) as stream:
            async for progress in _follow(stream.objects()):
                yield progress
            require_end(stream)
    except _RegistryError as error:
        raise _cannot_pull(ref, str(error)) from error
    except NotFound as error:
        raise _cannot_pull(ref, error.message) from error
    except PlatformError as error:
        if isinstance(error, Unavailable) or error.status in (400, 404):
            raise
        # The engine answers 500 for a registry that it can't reach.
        raise _cannot_pull(ref, error.message) from error


async def push(
    link: EngineLink, name: str, tag: str, auth: RegistryLogin | None
) -> AsyncIterator[PullProgress]:
    """Push an image and yield how far it has come.

    Raises
    ------
    Forbidden
        The registry refuses.
    NotFound
        The engine has no such image.
    Unavailable
        The registry can't be reached, or the engine does not answer.
    """
    ref = f"{name}:{tag}"
    try:
        async with await link.stream(
            "POST",
            f"/images/{name}/push",
            ("image", ref),
            params={"tag": tag},
            headers=_login(auth),
            deadline=None,
        ) as stream:
            async for progress in _follow(stream.objects()):
                yield progress
            require_end(stream)
    except _RegistryError as error:
        words = str(error)
        if any(hint in words.lower() for hint in _FORBIDDEN):
            raise Forbidden(
                f"The registry refuses {ref}: {words}. Log in to it with an account that may push."
            ) from error
        raise Unavailable(f"{ref} can't be pushed: {words}.", "Is the registry up?") from error


class _RegistryError(Exception):
    """What the engine mentions in its stream of progress when the registry refuses."""


async def _follow(objects: AsyncIterator[dict[str, Any]]) -> AsyncIterator[PullProgress]:
    """Gather the engine's sentences about single layers into reports on the whole."""
    layers: dict[str, LayerProgress] = {}
    message = ""
    reported = 0.0
    new = False
    async for item in objects:
        if "error" in item:
            raise _RegistryError(item["error"])
        status, id_ = str(item.get("status", "")), str(item.get("id", ""))
        if id_ and re.fullmatch(r"[0-9a-f]{12}", id_):
            layers[id_] = _advance(layers.get(id_), id_, status, item.get("progressDetail") or {})
        elif status:
            message = status
        new = True
        if time.monotonic() - reported >= REPORT_EVERY:
            reported, new = time.monotonic(), False
            yield _report(layers, message)
    if new:
        yield _report(layers, message)


def _advance(
    before: LayerProgress | None, id_: str, status: str, detail: dict[str, Any]
) -> LayerProgress:
    total = int(detail.get("total") or (before.total if before else 0))
    current = int(detail.get("current") or 0)
    lower = status.lower()
    if lower.startswith(_DONE) or lower in ("download complete", "verifying checksum"):
        # A small layer is there before the engine has said how big it is.
        current = total = max(total, 1)
    elif before is not None and "current" not in detail:
        current = before.current
    return LayerProgress(id_, status, current, total)


def _report(layers: dict[str, LayerProgress], message: str) -> PullProgress:
    found = tuple(layers.values())
    return PullProgress(found, _fraction(found), message)


def _fraction(layers: tuple[LayerProgress, ...]) -> float | None:
    """Count downloading as two thirds of the way of each layer and unpacking as the last third."""
    if not layers or not any(layer.total for layer in layers):
        return None
    known = [layer.total for layer in layers if layer.total > 1]
    usual = sum(known) / len(known) if known else 1
    done = whole = 0.0
    for layer in layers:
        weight = layer.total if layer.total > 1 else usual
        whole += weight
        status = layer.status.lower()
        if status.startswith(_DONE):
            done += weight
        elif status.startswith("extracting"):
            done += weight * (2 + layer.current / max(layer.total, 1)) / 3
        elif layer.total:
            done += weight * 2 / 3 * min(1, layer.current / layer.total)
    return done / whole


def _cannot_pull(ref: str, words: str) -> NotFound:
    lower = words.lower()
    if any(hint in lower for hint in _FORBIDDEN):
        cure = "Check the name; if the image is private, log in to its registry first."
    elif any(hint in lower for hint in _UNREACHABLE):
        cure = "Check that this machine reaches the registry, or load the image by `docker load`."
    else:
        cure = "Check the name and the tag."
    return NotFound("image", ref, f"The image {ref} can't be pulled: {words.rstrip('.')}. {cure}")
