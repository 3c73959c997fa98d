"""A figure, what it is compared to, and whether it keeps its limit."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Parameters
    ----------
    figure
        What was measured.
    ours, theirs
        The extension's value and the one beside it, in `unit`.
    compared_to
        What the other value is of.
    limit
        In words; empty where the figure is only told.
    ok
        Whether it is kept; None where there is none.
    note
        What else a reader of the figure must know.
    """

    figure: str
    ours: float
    unit: str
    compared_to: str
    theirs: float | None
    limit: str = ""
    ok: bool | None = None
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """Ours by theirs."""
        return self.ours / self.theirs if self.theirs else None

    def record(self) -> dict[str, Any]:
        """As JSON has it."""
        return {**asdict(self), "ratio": self.ratio}


def told(figure: str, ours: float, unit: str, compared_to: str, theirs: float | None) -> Row:
    """Return a figure that nothing is asserted of."""
    return Row(figure, ours, unit, compared_to, theirs)


def ratio_at_most(
    bound: float, figure: str, ours: float, unit: str, compared_to: str, theirs: float
) -> Row:
    """Return a figure that may be `bound` times what it is compared to."""
    limit = f"ratio <= {bound:g}"
    return Row(figure, ours, unit, compared_to, theirs, limit, ours <= bound * theirs)


def ratio_at_least(
    bound: float, figure: str, ours: float, unit: str, compared_to: str, theirs: float
) -> Row:
    """Return a figure that must be `bound` times what it is compared to."""
    limit = f"ratio >= {bound:g}"
    return Row(figure, ours, unit, compared_to, theirs, limit, ours >= bound * theirs)


def at_most(
    bound: float, figure: str, ours: float, unit: str, compared_to: str, theirs: float | None
) -> Row:
    """Return a figure that has a limit in its own unit."""
    return Row(figure, ours, unit, compared_to, theirs, f"<= {bound:g} {unit}", ours <= bound)


def more_by_at_most(
    bound: float, figure: str, ours: float, unit: str, compared_to: str, theirs: float
) -> Row:
    """Return a figure that may be `bound` above what it is compared to."""
    added = ours - theirs
    limit = f"+{added:.2f}, <= +{bound:g} {unit}"
    return Row(figure, ours, unit, compared_to, theirs, limit, added <= bound)


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that `percent` of all don't exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def median(values: Sequence[float]) -> float:
    """Return the value in the middle."""
    return float(statistics.median(values))


HEADER = ("figure", "ours", "compared to", "theirs", "ratio", "limit", "")


def table(rows: Sequence[Row]) -> str:
    """Return the rows as text, with a line of headings."""
    lines = [HEADER, *(_words(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADER))]
    numbers = {1, 3, 4}
    text = "\n".join(
        "  ".join(
            word.rjust(width) if column in numbers else word.ljust(width)
            for column, (word, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )
    notes = dict.fromkeys(row.note for row in rows if row.note)
    return "\n".join([text, *(f"  {note}" for note in notes)])


def _words(row: Row) -> tuple[str, ...]:
    verdict = {True: "ok", False: "FAIL", None: ""}[row.ok]
    ratio = "" if row.ratio is None else f"{row.ratio:.3f}"
    theirs = "" if row.theirs is None else _value(row.theirs, row.unit)
    return (
        row.figure,
        _value(row.ours, row.unit),
        row.compared_to,
        theirs,
        ratio,
        row.limit,
        verdict,
    )


def _value(value: float, unit: str) -> str:
    digits = 0 if abs(value) >= 1000 else 1 if abs(value) >= 100 else 2
    return f"{value:.{digits}f} {unit}"
