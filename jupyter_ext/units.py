"""Sizes as the documents write them, and back."""

from __future__ import annotations

import re
from typing import Any

UNITS = ("B", "KB", "MB", "GB", "TB", "PB")
"""Powers of 1024."""

_SIZE = re.compile(r"\s*([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*(?:([kmgtp])i?)?(?:b|bytes)?\s*", re.I)


def size_text(size: int) -> str:
    """Return bytes as the documents write them: ``8GB``, ``1.2GB``, ``50MB`` (powers of 1024)."""
    value = float(size)
    unit = "B"
    for larger in UNITS[1:5]:
        if value < 1024:
            break
        unit = larger
        value /= 1024
    rounded = round(value, 1)
    return f"{rounded:.0f}{unit}" if rounded == int(rounded) or value >= 100 else f"{rounded}{unit}"


def parse_size(value: Any) -> int:
    """Read a number of bytes, or a text such as ``8GB``, ``512 MiB`` or ``1.5g``.

    Raises
    ------
    ValueError
        It is none.
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str) and len(value) <= 40 and (found := _SIZE.fullmatch(value)):
        power = " kmgtp".index((found[2] or " ").lower())
        return int(float(found[1]) * (1 << 10 * power))
    raise ValueError("must be a number of bytes, or a text such as 8GB or 512MB")
