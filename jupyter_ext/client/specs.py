"""How people write ports, folders, variables and sizes: in commands, magics and the panel."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ..errors import InvalidRequest

PORT = re.compile(r"(?:(?P<host>\d+):)?(?P<port>\d+)(?:/(?P<protocol>tcp|udp|sctp))?")
SIZE = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[kmgt]?)i?b?", re.IGNORECASE)
AGO = re.compile(r"(?P<number>\d+(?:\.\d+)?)(?P<unit>[smhd])")
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
MEGABYTES = {"k": 1 / 1024, "": 1.0, "m": 1.0, "g": 1024.0, "t": 1024.0 * 1024}


def ports(written: Iterable[str]) -> dict[str, int | None]:
    """Read ``8080:80``, ``5353:53/udp`` or ``80`` (a free port of the host is chosen)."""
    found: dict[str, int | None] = {}
    for text in written:
        match = PORT.fullmatch(text.strip())
        numbers = [int(match[name]) for name in ("host", "port") if match and match[name]]
        if match is None or not all(0 < number < 65536 for number in numbers):
            raise InvalidRequest(
                fields={"ports": f"{text!r} is no port: write HOST:CONTAINER, as in 8080:80."}
            )
        host = match["host"]
        found[f"{match['port']}/{match['protocol'] or 'tcp'}"] = int(host) if host else None
    return found


def volumes(written: Iterable[str], folder: Path | None = None) -> list[dict[str, Any]]:
    """Read ``HOST:CONTAINER`` and ``HOST:CONTAINER:ro``; HOST may be relative to `folder`."""
    found: list[dict[str, Any]] = []
    for text in written:
        host, _, rest = text.strip().partition(":")
        inside, _, mode = rest.partition(":")
        if not host or not inside.startswith("/") or mode not in ("", "ro", "rw"):
            problem = (
                f"{text!r} is no folder: write HOST:CONTAINER, as in ./data:/data or ./d:/d:ro."
            )
            raise InvalidRequest(fields={"volumes": problem})
        full = Path(os.path.normpath((folder or Path.cwd()) / Path(host).expanduser()))
        volume: dict[str, Any] = {"host_path": str(full), "container_path": inside}
        if mode == "ro":
            volume["read_only"] = True
        found.append(volume)
    return found


def environment(written: Iterable[str], environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Read ``NAME=VALUE``; a NAME alone takes its value from `environ`."""
    found: dict[str, str] = {}
    for text in written:
        name, equals, value = text.partition("=")
        name = name.strip()
        if not equals and environ is not None and name in environ:
            value, equals = environ[name], "="
        if not name or not equals:
            raise InvalidRequest(
                fields={"environment": f"{text!r} is no variable: write NAME=VALUE."}
            )
        found[name] = value
    return found


def moment(written: str) -> str:
    """Read a moment: RFC 3339, seconds since 1970, or how long ago it was (``10m``, ``2h``)."""
    match = AGO.fullmatch(written.strip())
    if match is None:
        return written
    past = datetime.now(UTC) - timedelta(**{UNITS[match["unit"]]: float(match["number"])})
    return past.isoformat().replace("+00:00", "Z")


def megabytes(written: str) -> int:
    """Read ``512``, ``512m`` or ``2g``."""
    match = SIZE.fullmatch(written.strip())
    size = float(match["number"]) * MEGABYTES[match["unit"].lower()] if match else 0
    if size < 1:
        raise InvalidRequest(fields={"mem": f"{written!r} is no size: write 512m or 2g."})
    return round(size)


def gpus(written: str) -> str | list[int]:
    """Read ``auto``, ``2`` or ``1,3``."""
    if written.strip() == "auto":
        return "auto"
    try:
        return [int(number) for number in written.split(",")]
    except ValueError:
        problem = f"{written!r} is no GPU: write auto, 2 or 1,3."
        raise InvalidRequest(fields={"gid": problem}) from None


def declared_gpus(written: Iterable[str]) -> list[dict[str, Any]]:
    """Read ``UUID:MODEL:MB``, as in ``GPU-5f1c:NVIDIA L4:23034``."""
    found: list[dict[str, Any]] = []
    for text in written:
        uuid, _, rest = text.strip().partition(":")
        model, _, memory = rest.rpartition(":")
        if not (uuid and model and memory.isascii() and memory.isdecimal()):
            problem = f"{text!r} is no GPU: write UUID:MODEL:MB, as in GPU-5f1c:NVIDIA L4:23034."
            raise InvalidRequest(fields={"gpus": problem})
        found.append({"uuid": uuid, "model": model, "memory": int(memory)})
    return found


def cores(written: str) -> float:
    """Read a number of CPU cores, ``0.5`` or ``2``."""
    try:
        number = float(written)
    except ValueError:
        number = 0
    if not 0 < number < 10_000:
        raise InvalidRequest(fields={"cpu": f"{written!r} is no number of cores: write 0.5 or 2."})
    return number
