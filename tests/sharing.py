"""Who runs which tests where processes share them: a file each, long ones first.

With ``--dist loadfile --no-loadscope-reorder`` (`scripts/test.sh`). Files of a folder follow each
other, since what they share is the process's: its fixtures end with the last of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

WHOLE = ("tests/hub",)
"""Folders for one process each, since what all their tests share takes longest to make."""

LONG = (
    "tests/hub",
    "tests/browser",
    "tests/snapshots",
    "tests/postgres",
    "tests/services",
    "tests/integration",
    "tests/devices",
    "tests/conformance",
    "tests/notebook",
)
"""Folders of long tests, longest first; short ones at the end leave no process without work."""


class Sharing(LoadFileScheduling):  # type: ignore[misc]
    """Files, and some folders as one."""

    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        return folder if (folder := folder_of(file)) in WHOLE else file


def folder_of(nodeid: str) -> str:
    """Return the folder below ``tests`` that a test lies in."""
    return "/".join(nodeid.split("/")[:2])


@pytest.hookimpl(tryfirst=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Sharing | None:
    """Share by file and folder where processes share by file."""
    return Sharing(config, log) if config.getvalue("dist") == "loadfile" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files of long tests first."""
    items.sort(key=lambda item: rank(item.nodeid, LONG))


def rank(nodeid: str, order: Sequence[str]) -> int:
    """Return the place of a test's folder."""
    folder = folder_of(nodeid)
    return order.index(folder) if folder in order else len(order)
