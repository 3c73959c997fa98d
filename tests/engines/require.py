"""No layer of the tests is skipped in silence.

``JUPYTER_EXT_REQUIRE=docker,postgres,…`` (``make test`` sets it) names the engines that this
machine must have: a test that misses one of them fails; one that misses another is skipped.
"""

from __future__ import annotations

import os
import shutil
from typing import NoReturn

import pytest

ENGINES = (
    "docker",
    "postgres",
    "restic",
    "registry",
    "redis",
    "browser",
    "node",
    "hub",
    "gpus",
    "gpu",
    "code-server",
    "systemd",
)

SYSTEM_FOLDERS = "/usr/local/sbin:/usr/sbin:/sbin"


def required(engine: str) -> bool:
    """Whether a machine without `engine` fails the tests."""
    named = os.environ.get("JUPYTER_EXT_REQUIRE", "").split(",")
    return engine in {name.strip() for name in named}


def missing(engine: str, reason: str) -> NoReturn:
    """End the test that needs `engine`: failed where it is required, skipped elsewhere."""
    if engine not in ENGINES:
        raise ValueError(f"{engine} is none of {ENGINES}")
    if required(engine):
        pytest.fail(f"{engine} is required here: {reason}", pytrace=False)
    pytest.skip(f"{engine}: {reason}")


def program(engine: str, *names: str) -> str:
    """Return the path of the first of these programs that is installed, or end the test."""
    path = os.environ.get("PATH", os.defpath) + ":" + SYSTEM_FOLDERS
    for name in names:
        if found := shutil.which(name, path=path):
            return found
    missing(engine, f"no {' or '.join(names)} is installed")
