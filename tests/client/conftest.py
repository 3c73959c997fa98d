from __future__ import annotations

from collections.abc import Iterator

import pytest

from jupyter_ext.client import Client

from .speaker import Speaker, speaking


@pytest.fixture
def speaker() -> Iterator[Speaker]:
    with speaking() as running:
        yield running


@pytest.fixture
def client(speaker: Speaker) -> Iterator[Client]:
    with Client(speaker.url, "jx_secret-of-the-tests") as made:
        yield made
