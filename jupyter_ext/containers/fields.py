"""Fields of a container's request, and what may stand in them."""

from __future__ import annotations

import math
import re
import shlex
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from .connection import PASSWORD_VARIABLE
from .references import container_name_problem, looks_like_id, parse_reference

MEGABYTE = 1 << 20
PORTS = 256
MOST_GPUS = 64
"""Of one container."""
LARGEST_NUMBER = (1 << 31) - 1
VARIABLES = 1000
ARGUMENTS = 1000
LONGEST_VALUE = 128 * 1024
"""Bytes that the kernel takes in one argument or variable."""

LONGEST_LINE = 8 * 1024
"""Characters of a command that is one text: splitting takes time by their square, on the loop."""

RESERVED_VARIABLES = frozenset({"NVIDIA_VISIBLE_DEVICES", PASSWORD_VARIABLE})
"""What decides over hardware, and who gets in, is set by the server alone."""

_PORT = re.compile(r"([0-9]{1,5})(?:/(tcp|udp|sctp))?")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_RESTART = re.compile(r"no|always|unless-stopped|on-failure(?::[0-9]{1,4})?")


def _name(value: str) -> str:
    problem = container_name_problem(value)
    if problem:
        raise ValueError(problem)
    return value


def _image(value: str) -> str:
    value = value.strip()
    if not looks_like_id(value):
        parse_reference(value)
    return value


def _restart(value: str) -> str:
    if not _RESTART.fullmatch(value):
        raise ValueError("must be no, always, unless-stopped, on-failure or on-failure:N")
    return value


def _cpu(value: float) -> float:
    if math.isnan(value) or 0 < value < 0.01:
        raise ValueError("must be 0 (no limit) or at least 0.01 cores")
    return value


def _memory(value: int) -> int:
    if 0 < value < 6:
        raise ValueError("must be 0 (no limit) or at least 6 MB")
    return value


def _text(value: Any) -> Any:
    """Write numbers and truth values as a shell would."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    return value


def _words(value: Any) -> Any:
    """Split a command line that came as one text."""
    if not isinstance(value, str):
        return value
    if len(value) > LONGEST_LINE:
        raise ValueError(
            f"must not be longer than {LONGEST_LINE} characters as one text; a list of words may be"
        )
    return shlex.split(value)


def _command(value: list[str]) -> list[str] | None:
    if any("\0" in word or len(word.encode()) >= LONGEST_VALUE for word in value):
        raise ValueError("holds a word that is too long or has a NUL character")
    return value or None


def _ports(value: dict[str, int | None]) -> dict[str, int | None]:
    ports: dict[str, int | None] = {}
    taken: set[tuple[int, str]] = set()
    for key, host in value.items():
        found = _PORT.fullmatch(key)
        if found is None or not 1 <= int(found[1]) <= 65535:
            raise ValueError(f"{key!r} is no port such as 80/tcp")
        if host is not None and not 0 <= host <= 65535:
            raise ValueError(f"{host} for {key} is no port of the host (1 to 65535)")
        protocol = found[2] or "tcp"
        name = f"{int(found[1])}/{protocol}"
        if name in ports:
            raise ValueError(f"{name} is given twice")
        if host and (host, protocol) in taken:
            raise ValueError(f"the host's {host}/{protocol} is given twice")
        taken.add((host or 0, protocol))
        ports[name] = host or None
    return ports


def _environment(value: dict[str, str]) -> dict[str, str]:
    for name, text in value.items():
        if not _VARIABLE.fullmatch(name):
            raise ValueError(f"{name!r} is no name of a variable")
        if name in RESERVED_VARIABLES:
            raise ValueError(f"{name} is set by the server")
        if "\0" in text or len(name) + len(text.encode()) + 2 > LONGEST_VALUE:
            raise ValueError(f"the value of {name} is too long or holds a NUL character")
    return value


def _gpus(value: int | list[int] | str | None) -> int | list[int] | str | None:
    """Refuse numbers that no GPU has; 0 and an empty list are none."""
    numbers = value if isinstance(value, list) else [value] if isinstance(value, int) else []
    if len(numbers) > 1 and 0 in numbers:
        raise ValueError("must be the numbers of GPUs, which begin with 1, or auto")
    if len(set(numbers)) < len(numbers):
        raise ValueError("names a GPU twice")
    return value or None if value != [0] else None


# Bounds come first, so that what is too long is not looked at and the document shows them.
Name = Annotated[
    str,
    Field(description="Unique among the caller's", examples=["test-container"]),
    AfterValidator(_name),
]
ImageName = Annotated[
    str,
    # Before it is taken apart, which takes time where it is long.
    Field(max_length=512, description="Pulled where it is missing", examples=["nginx:latest"]),
    AfterValidator(_image),
]
Cpu = Annotated[
    float, Field(ge=0, le=4096, description="Cores; 0 is no limit"), AfterValidator(_cpu)
]
Memory = Annotated[
    int, Field(ge=0, le=1 << 30, description="MB; 0 is no limit"), AfterValidator(_memory)
]
RestartPolicy = Annotated[
    str,
    Field(description="no, always, unless-stopped, on-failure or on-failure:N"),
    AfterValidator(_restart),
]
Text = Annotated[str, BeforeValidator(_text)]
PortMap = Annotated[
    dict[str, int | None],
    Field(
        max_length=PORTS,
        description="By container port; null or 0 picks a free one of the host",
        examples=[{"80/tcp": 8080}],
    ),
    AfterValidator(_ports),
]
Environment = Annotated[
    dict[str, Text],
    Field(max_length=VARIABLES, examples=[{"KEY": "value"}]),
    AfterValidator(_environment),
]
Command = Annotated[
    list[str],
    BeforeValidator(_words),
    Field(max_length=ARGUMENTS, description="Words, or one line as a shell splits it"),
    AfterValidator(_command),
]
Gid = Annotated[int, Field(strict=True, ge=0, le=LARGEST_NUMBER)]
Gpus = Annotated[
    Gid | Annotated[list[Gid], Field(max_length=MOST_GPUS)] | Literal["auto"] | None,
    Field(
        description="The number of a GPU, or several, or auto for any that is free; 0 is none",
        examples=["auto"],
    ),
    AfterValidator(_gpus),
]
GpuCount = Annotated[
    int | None,
    Field(
        strict=True, ge=0, le=MOST_GPUS, description="How many GPUs, whichever are free; 0 is none"
    ),
]
GpuModel = Annotated[
    str | None, Field(max_length=128, description="A part of the model's name", examples=["A100"])
]
GpuMemory = Annotated[
    int | None,
    Field(
        ge=0,
        le=LARGEST_NUMBER,
        description="MB that each GPU has at least, or 8 % less, as cards are sold",
        examples=[24_000],
    ),
]
