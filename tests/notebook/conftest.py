from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell

from jupyter_ext.client import Client

from ..client.speaker import Speaker, speaking


@pytest.fixture
def speaker() -> Iterator[Speaker]:
    with speaking() as running:
        yield running


@pytest.fixture
def client(speaker: Speaker) -> Iterator[Client]:
    with Client(speaker.url, "jx_secret-of-the-tests") as made:
        yield made


@pytest.fixture
def shell(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A shell as a kernel has it, with the extension loaded."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    InteractiveShell.clear_instance()
    made: Any = InteractiveShell.instance()
    made.kernel = object()
    made.run_line_magic("load_ext", "jupyter_ext")
    yield made
    magics = made.magics_manager.magics["line"]["container"].__self__
    magics.session.close()
    made.history_manager.end_session()
    InteractiveShell.clear_instance()
