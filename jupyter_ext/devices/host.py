"""What a host's own files tell of it."""

from __future__ import annotations

import platform
from pathlib import Path

CPU_FACTS = Path("/proc/cpuinfo")
LONGEST_NAME = 128


def cpu_name() -> str:
    """Return the processor's model, the architecture where the kernel names none (ARM does not)."""
    try:
        with CPU_FACTS.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                key, _, value = line.partition(":")
                if key.strip() == "model name" and value.strip():
                    return value.strip()[:LONGEST_NAME]
    except OSError:
        pass
    return platform.machine()
