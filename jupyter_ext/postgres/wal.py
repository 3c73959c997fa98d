"""What the names of WAL files say: which segment, of which timeline, and how timelines follow.

Source: PostgreSQL's documentation, "Continuous Archiving and Point-in-Time Recovery", its section
"Timelines", and "WAL Internals": a segment is named by 24 hexadecimal digits, 8 of the timeline, 8
of the log (4 GiB) and 8 of the segment in it. A history file ``0000000N.history`` has a line for
each earlier timeline of N: its number, where it was left, and why.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

SEGMENT_NAME = re.compile(r"[0-9A-F]{24}")

LOG_BYTES = 1 << 32


@dataclass(frozen=True, slots=True, order=True)
class Segment:
    """A segment of WAL.

    Parameters
    ----------
    number
        Counted over all logs, from the cluster's first.
    """

    timeline: int
    number: int

    @classmethod
    def of(cls, name: str, size: int) -> Segment:
        """Read a name; `size` in bytes is the cluster's (16 MiB if nobody said otherwise)."""
        log, place = int(name[8:16], 16), int(name[16:24], 16)
        return cls(int(name[:8], 16), log * (LOG_BYTES // size) + place)

    def name(self, size: int) -> str:
        """Return its file's name."""
        log, place = divmod(self.number, LOG_BYTES // size)
        return f"{self.timeline:08X}{log:08X}{place:08X}"


def parse_lsn(text: str) -> int:
    """Read a place in the WAL, ``0/3000028``, as bytes from its beginning."""
    log, _, offset = text.partition("/")
    return int(log, 16) << 32 | int(offset, 16)


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a timeline's way that was written under one number.

    Parameters
    ----------
    begin, end
        Bytes of WAL; `end` is None where the timeline was not left.
    """

    timeline: int
    begin: int
    end: int | None


@dataclass(frozen=True, slots=True)
class Way:
    """How a timeline came about, oldest stretch first, itself last."""

    stretches: tuple[Stretch, ...]

    @classmethod
    def read(cls, timeline: int, history: str = "") -> Way:
        """Read a history file; the first timeline has none."""
        stretches: list[Stretch] = []
        begin = 0
        for line in history.splitlines():
            words = line.split()
            if not words or words[0].startswith("#"):
                continue
            end = parse_lsn(words[1])
            stretches.append(Stretch(int(words[0]), begin, end))
            begin = end
        return cls((*stretches, Stretch(timeline, begin, None)))

    @property
    def timeline(self) -> int:
        """Its own number."""
        return self.stretches[-1].timeline

    def passes(self, timeline: int, lsn: int) -> bool:
        """Whether a state that was written at `lsn` of `timeline` lies on this way."""
        return any(
            each.timeline == timeline and (each.end is None or lsn <= each.end)
            for each in self.stretches
        )

    def candidates(self, number: int, size: int) -> Iterator[Segment]:
        """Yield the files in which recovery looks for a segment, newest timeline first.

        The segment in which a timeline was left exists under both numbers; the newer one holds all
        that the older held until then.
        """
        for each in reversed(self.stretches):
            if number >= each.begin // size and (each.end is None or number <= each.end // size):
                yield Segment(each.timeline, number)

    def reach(self, first: int, archived: Iterable[Segment], size: int) -> Segment | None:
        """Return the last segment to which recovery comes from segment `first` without a gap."""
        there = set(archived)
        last: Segment | None = None
        number = first
        while found := next((s for s in self.candidates(number, size) if s in there), None):
            last = found
            number += 1
        return last
