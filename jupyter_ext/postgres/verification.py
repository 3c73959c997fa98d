"""What a check of the whole repository found.

Source: pgBackRest's command reference, "Verify Command". Its exit status is 0 whatever it finds in
many versions, so that its report is read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

REASONS = ("missing", "checksum invalid", "size invalid", "other")

_TOTALS = re.compile(
    r"(?:archiveId: (?P<archive>[^,]+), total WAL checked|backup: (?P<label>[^,]+), "
    r"status: (?P<status>[^,]+), total files checked): (?P<checked>\d+), "
    r"total valid (?:WAL|files): (?P<valid>\d+)"
)
_COUNTS = re.compile(", ".join(rf"{reason}: (\d+)" for reason in REASONS))
_FILE = re.compile(
    r"(?:INFO|ERROR): (?:\[\d+\]: )?"
    r"(invalid checksum|file missing|invalid size|[^']*error[^']*) '([^']+)'"
)
_STATUS = re.compile(r"^\s*status: (\w+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Part:
    """A backup, or the archive, as it was found.

    Parameters
    ----------
    name
        The backup's label; for the archive its id.
    checked, valid
        Files.
    problems
        How many files have which problem.
    """

    name: str
    checked: int
    valid: int
    problems: dict[str, int]

    @property
    def good(self) -> bool:
        """Whether all of it is there as it was written."""
        return self.checked == self.valid and not self.problems


@dataclass(frozen=True, slots=True)
class Verification:
    """The result of checking every file in the repository against its checksum.

    Parameters
    ----------
    damaged
        ``path: what is wrong`` of each bad file, some of them where they are many.
    """

    good: bool
    backups: tuple[Part, ...]
    archives: tuple[Part, ...]
    damaged: tuple[str, ...] = ()


def parse_verification(report: str, said: list[str], missing: list[str]) -> Verification:
    """Read the report of ``pgbackrest verify --output=text``, and its log.

    Parameters
    ----------
    missing
        WAL that backups need, of which pgBackRest does not speak.
    """
    backups, archives = list[Part](), list[Part]()
    part: Part | None = None
    for line in report.splitlines():
        if found := _TOTALS.search(line):
            name = found["label"] or found["archive"]
            problems = {}
            if found["status"] not in (None, "valid", "in-progress"):
                problems["status " + found["status"]] = 1
            part = Part(name, int(found["checked"]), int(found["valid"]), problems)
            (backups if found["label"] else archives).append(part)
        elif part is not None and (found := _COUNTS.search(line)):
            counts = zip(REASONS, map(int, found.groups()), strict=True)
            part.problems.update({reason: count for reason, count in counts if count})
    status = _STATUS.search(report)
    bad = [f"{found[2]}: {found[1]}" for line in said if (found := _FILE.search(line))]
    damaged = (*bad, *missing)
    good = (
        status is not None
        and status[1] == "ok"
        and all(each.good for each in (*backups, *archives))
        and not damaged
    )
    return Verification(good, tuple(backups), tuple(archives), damaged)
