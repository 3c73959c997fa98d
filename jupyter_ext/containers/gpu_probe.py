"""Looks which GPUs another machine has, by a container that is given all of them."""

from __future__ import annotations

import asyncio
import csv
import logging
import re
import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..devices.inventory import Found
from ..errors import NotFound, PlatformError, Unavailable
from .engine_types import ContainerSpec
from .marks import PROBE, PROBE_NAME
from .references import parse_reference

if TYPE_CHECKING:
    from .docker_driver import DockerDriver

# NVIDIA's runtime puts the program into every container that has the capability `utility`.
QUERY = ("nvidia-smi", "--query-gpu=uuid,name,memory.total", "--format=csv,noheader,nounits")

DEADLINE = 30.0
"""Seconds that the program may take."""

LOOK_SECONDS = 0.2
MEBIBYTE = 1 << 20

_UUID = re.compile(r"GPU-[A-Za-z0-9-]{1,100}")
_MEBIBYTES = re.compile(r"[0-9]{1,8} *")

_log = logging.getLogger(__name__)


async def find_gpus(driver: DockerDriver, image: str) -> Sequence[Found]:
    """Return the GPUs that an engine gives to a container; none where it can give none.

    Parameters
    ----------
    image
        Runs there for a moment; glibc is all that it needs. Pulled where it is missing.

    Raises
    ------
    Unavailable
        The engine does not answer, or can't pull the image.
    """
    spec = ContainerSpec(
        name=f"{PROBE_NAME}{secrets.token_hex(4)}",
        image=image,
        command=QUERY,
        environment={
            "NVIDIA_VISIBLE_DEVICES": "all",
            "NVIDIA_DRIVER_CAPABILITIES": "utility",
        },
        labels={PROBE: "gpus"},
        gpus=("all",),
        restart_policy="no",
    )
    try:
        made = await _run(driver, spec)
    except _Unrunnable as error:
        # Without NVIDIA's runtime the engine refuses to start it, and leaves nothing behind.
        await driver.ping()
        _log.info("No GPUs were found: %s", error)
        return ()
    try:
        return read(await _output(driver, made))
    finally:
        await driver.remove(made, force=True, volumes=True)


class _Unrunnable(Exception):
    """The engine has the image and does not start the container, or is away."""


async def _run(driver: DockerDriver, spec: ContainerSpec) -> str:
    try:
        return (await driver.run(spec)).id
    except NotFound as error:
        if error.kind != "image":
            raise _Unrunnable(str(error)) from error
    except PlatformError as error:
        raise _Unrunnable(str(error)) from error
    await _pull(driver, spec.image)
    try:
        return (await driver.run(spec)).id
    except PlatformError as error:
        raise _Unrunnable(str(error)) from error


async def _pull(driver: DockerDriver, image: str) -> None:
    """Have the engine pull the image.

    Raises
    ------
    Unavailable
        It can't; that says nothing of its GPUs.
    """
    reference = parse_reference(image)
    try:
        async for _ in driver.pull(reference.repository, reference.digest or reference.tag or ""):
            pass
    except PlatformError as error:
        raise Unavailable(
            f"The host can't pull {image}, which looks for its GPUs: {error}",
            "Say which GPUs it has (none is `gpus: []`), or name another image: "
            "ContainerDefaults.probe_image.",
        ) from error


async def _output(driver: DockerDriver, container: str) -> str:
    try:
        async with asyncio.timeout(DEADLINE):
            while (await driver.inspect(container)).running:
                await asyncio.sleep(LOOK_SECONDS)
    except TimeoutError:
        raise Unavailable(f"The host's GPUs did not answer within {DEADLINE:.0f} s.") from None
    return await driver.logs(container, tail=1000)


def read(text: str) -> list[Found]:
    """Read what `nvidia-smi` printed: UUID, model and MiB in a line."""
    found = []
    for row in csv.reader(text.splitlines(), skipinitialspace=True):
        # Another machine says this: nothing but a UUID goes on to engines and environments.
        if len(row) == 3 and _UUID.fullmatch(row[0].strip()) and _MEBIBYTES.fullmatch(row[2]):
            found.append(Found(row[0].strip(), row[1].strip()[:128], int(row[2]) * MEBIBYTE))
    return found
