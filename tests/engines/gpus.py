"""Simulated GPUs: a library that tells of them, and an engine that takes requests for them.

NVIDIA's Python library and the Docker engine are the real ones; only what lies below them, the
driver and the container toolkit's hook, is the tests' own. What no simulation shows is that a
container computes on a GPU, which tests marked ``gpu`` do.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from . import require

GIB = 1 << 30
SOURCE = Path(__file__).with_name("nvml.c")


@dataclass(frozen=True)
class Card:
    """A GPU; with `card`, a slice of the one that has this UUID."""

    uuid: str
    model: str = "NVIDIA A100-SXM4-80GB"
    memory: int = 80 * GIB
    used: int = 0
    utilization: int = 0
    degrees: int = 35
    milliwatts: int = 60_000
    process: int = 0
    card: str = ""

    def line(self) -> str:
        """As the library reads it."""
        return (
            f"{self.uuid}|{self.model}|{self.memory}|{self.used}|{self.utilization}|"
            f"{self.degrees}|{self.milliwatts}|{self.process}|{self.card}\n"
        )


class Cards:
    """The GPUs of a machine, which a test changes while servers look at them."""

    def __init__(self, folder: Path, cards: Sequence[Card]) -> None:
        self.file = folder / "gpus"
        self.library = build_library(folder)
        self.cards = list(cards)
        self.write()

    @property
    def environ(self) -> dict[str, str]:
        """What a process that shall see them is started with."""
        return {"JX_TEST_GPUS": str(self.file), "LD_LIBRARY_PATH": str(self.library.parent)}

    def write(self) -> None:
        """Let everybody see them as they are now."""
        new = self.file.with_suffix(".new")
        new.write_text("".join(card.line() for card in self.cards))
        new.replace(self.file)

    def change(self, number: int, **values: object) -> None:
        """Change one."""
        self.cards[number] = replace(self.cards[number], **values)  # type: ignore[arg-type]
        self.write()


def build_library(folder: Path) -> Path:
    """Compile ``libnvidia-ml.so.1``."""
    compiler = require.program("gpus", "gcc", "cc")
    library = folder / "lib" / "libnvidia-ml.so.1"
    library.parent.mkdir(exist_ok=True)
    command = [compiler, "-shared", "-fPIC", "-O1", "-Wall", "-o", str(library), str(SOURCE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return library


def hook_folder(folder: Path) -> Path:
    """Make a folder for an engine's PATH that lets it take requests for GPUs.

    The engine looks for the container toolkit's hook there, and calls it at each start.
    """
    programs = folder / "hook"
    programs.mkdir(exist_ok=True)
    hook = programs / "nvidia-container-runtime-hook"
    true = shutil.which("true")
    assert true is not None
    hook.write_text(f"#!/bin/sh\nexec {true}\n")
    hook.chmod(0o755)
    return programs
