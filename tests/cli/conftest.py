from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from jupyter_ext.cli.program import run

from ..client.speaker import Speaker, speaking


@dataclass
class Ran:
    """How a run of the program ended."""

    code: int
    out: str
    err: str


Pig = Callable[..., Ran]


@pytest.fixture
def speaker() -> Iterator[Speaker]:
    with speaking() as running:
        yield running


@pytest.fixture
def pig(
    speaker: Speaker, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Pig:
    """Run the program in this process against the speaker."""
    return in_process(speaker.url, "jx_secret-of-the-tests", monkeypatch, capsys)


def in_process(
    url: str, key: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Pig:
    """Return the program as it runs in this process against a server."""
    monkeypatch.setenv("PIG_URL", url)
    monkeypatch.setenv("PIG_API_KEY", key)
    for variable in ("PIG_HOME", "PIG_CONFIG", "PIG_LOG_LEVEL"):
        monkeypatch.delenv(variable, raising=False)

    def pig(*arguments: str) -> Ran:
        code = run(arguments)
        captured = capsys.readouterr()
        assert key not in captured.out + captured.err
        return Ran(code, captured.out, captured.err)

    return pig
