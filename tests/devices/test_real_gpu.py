"""NVML against a real card: what nvidia-smi says, and a process that computes on it.

Where there is no card these are skipped, and say so; ``JUPYTER_EXT_REQUIRE=gpu`` makes that a
failure.
"""

from __future__ import annotations

import csv
import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest

from jupyter_ext.devices.nvml import Nvml

from ..engines import require

pytestmark = pytest.mark.gpu

HELD = 1 << 30

# The driver's own library: no toolkit is needed for it.
HOLDER = f"""
import ctypes, sys
cuda = ctypes.CDLL("libcuda.so.1")
def ask(name, *arguments):
    code = getattr(cuda, name)(*arguments)
    assert code == 0, (name, code)
device, context, memory = ctypes.c_int(), ctypes.c_void_p(), ctypes.c_void_p()
ask("cuInit", 0)
ask("cuDeviceGet", ctypes.byref(device), 0)
ask("cuCtxCreate_v2", ctypes.byref(context), 0, device)
ask("cuMemAlloc_v2", ctypes.byref(memory), ctypes.c_size_t({HELD}))
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def cards() -> list[dict[str, str]]:
    """What nvidia-smi says of each card."""
    program = shutil.which("nvidia-smi")
    if program is None:
        require.missing("gpu", "nvidia-smi is not installed, so there is no real card")
    fields = ("uuid", "name", "memory.total", "temperature.gpu", "power.draw")
    query = f"--query-gpu={','.join(fields)}"
    done = subprocess.run(
        [program, query, "--format=csv,noheader,nounits"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    if done.returncode:
        require.missing("gpu", f"nvidia-smi: {done.stdout}{done.stderr}")
    rows = csv.reader(done.stdout.splitlines(), skipinitialspace=True)
    return [dict(zip(fields, row, strict=True)) for row in rows]


@pytest.fixture
def holder() -> Iterator[int]:
    """A process that holds a gigabyte of the first card's memory."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "held\n"
        yield process.pid
        process.stdin.close()


async def test_cards_are_as_nvidia_smi_says(cards: list[dict[str, str]]) -> None:
    found = {each.uuid: each for each in await Nvml().found()}

    assert found
    for card in cards:
        # A card that MIG cut is told by its slices.
        slices = [each for each in found.values() if each.parent == card["uuid"]]
        for each in slices or [found[card["uuid"]]]:
            assert card["name"] in each.model
        if not slices:
            told = int(card["memory.total"]) << 20
            assert abs(found[card["uuid"]].memory - told) < 1 << 30


async def test_a_reading_is_a_cards(cards: list[dict[str, str]]) -> None:
    readings = await Nvml().readings()

    for card in cards:
        if (reading := readings.get(card["uuid"])) is None:
            continue
        assert reading.utilization is not None
        assert 0 <= reading.utilization <= 100
        assert reading.temperature is not None
        assert abs(reading.temperature - int(card["temperature.gpu"])) <= 15
        assert reading.power is not None
        assert 0 < reading.power < 2000


async def test_who_computes_is_seen_with_its_memory(
    cards: list[dict[str, str]], holder: int
) -> None:
    readings = (await Nvml().readings()).values()

    held = [reading for reading in readings if (reading.memory_used or 0) >= HELD]
    assert held
    # In a container of its own the driver tells other numbers than this one's.
    assert any(reading.processes for reading in held)
    if any(holder in reading.processes for reading in held):
        assert max(reading.processes.get(holder, 0) for reading in held) >= HELD
