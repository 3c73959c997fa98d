"""The end of a log, of a moment and later, without what must not be read there."""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

MOST_BYTES = 512 << 10
"""Of a file that are looked at."""

LINE = 2000
"""Characters of a line that are shown."""

HIDDEN = "[hidden]"

# Users' own statements are in these lines: nothing here may try again and again along a line, so no
# pattern begins with what it could begin anywhere in.
_SECRETS = (
    # In addresses: ?token=…, and a login in front of a host.
    re.compile(r"(?i)([?&](?:token|ticket|password|api_key|key)=)[^&\s\"']+"),
    re.compile(r"(://[^/\s:@]*:)[^@\s/]+(?=@)"),
    # In headers, and in settings: token: …, password = '…'.
    re.compile(
        r"(?i)(\bauthorization[\"']?\s*[=:]\s*[\"']?(?:(?:bearer|token|basic)\s+)?)[^\s,;\"']+"
    ),
    re.compile(r"(?i)(\bbearer\s+)[\w.~+/=-]{8,}"),
    re.compile(
        r"(?i)((?:password|passwd|secret|token|api[_-]?key)[\w-]{0,64}[\"']?\s*[=:]\s*[\"']?)"
        r"[^\s,;&\"']+"
    ),
    # In SQL, and in the sentence about the first administrator.
    re.compile(r"(?i)(\bpassword\s+)'(?:[^']|'')*'?"),
    re.compile(r"(\bpassword )(?=\S*[0-9A-Z_-])[\w-]{8,}"),
    # Keys and tokens of ours by their form.
    re.compile(r"()\bjx_[\w-]{8,}"),
    re.compile(r"()\beyJ[\w-]{8,}\.[\w-]+\.[\w-]+"),
)
_CUT_LOGIN = re.compile(r"(://[^/\s:@]*:)[^@\s/]+\Z")
"""Of an address whose host was cut off: what stands there may be a port, or a password."""

SHORTEST = 4
"""Characters of a secret by which it is known."""

_TIME = re.compile(
    r"\W{0,3}(?:[IWEDC] )?"
    r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d(?:[.,]\d{1,6})?)\s?(Z|UTC|[+-]\d\d:?\d\d)?"
)
_CONTROL = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")


def clean(line: str, known: Iterable[str] = (), *, whole: bool = True) -> str:
    """Return a line without secrets: those that are known, and what looks like one.

    Parameters
    ----------
    whole
        Whether it ends where it ended; otherwise it may end amid a secret.
    """
    # A colour between a name and its value hides neither.
    line = _CONTROL.sub("", line)
    for secret in known:
        if len(secret) >= SHORTEST:
            line = line.replace(secret, HIDDEN)
            if not whole:
                line = _without_beginning(line, secret)
    if not whole:
        line = _CUT_LOGIN.sub(rf"\g<1>{HIDDEN}", line)
    for pattern in _SECRETS:
        line = pattern.sub(rf"\g<1>{HIDDEN}", line)
    return line if len(line) <= LINE else f"{line[:LINE]} …"


def _without_beginning(line: str, secret: str) -> str:
    """Return a line without the part of a secret with which it ends."""
    for length in range(len(secret) - 1, SHORTEST - 1, -1):
        if line.endswith(secret[:length]):
            return f"{line[:-length]}{HIDDEN}"
    return line


def moment_of(line: str) -> datetime | None:
    """Return when a line was written, where it says so; without a zone it is UTC."""
    found = _TIME.match(line)
    if found is None:
        return None
    zone = found[3] or "Z"
    try:
        moment = datetime.fromisoformat(
            f"{found[1]}T{found[2].replace(',', '.')}{'Z' if zone == 'UTC' else zone}"
        )
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        # Of the year 9999, say, in a zone where it is not over yet.
        return None


def since(lines: Sequence[str], moment: datetime | None) -> list[str]:
    """Return the lines of a moment and later; one without a time has that before it."""
    if moment is None:
        return list(lines)
    for index, line in enumerate(lines):
        written = moment_of(line)
        if written is not None and written >= moment:
            return list(lines[index:])
    return []


def read(path: Path, tail: int, moment: datetime | None, known: Iterable[str] = ()) -> list[str]:
    """Return the last lines of a file; none where there is no file.

    Another user may write it than this process's: a link or a pipe in its place is not read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return []
            size = file.seek(0, 2)
            begin = max(0, size - MOST_BYTES)
            file.seek(begin)
            text = file.read(MOST_BYTES).decode(errors="replace")
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ELOOP):
            return []
        raise
    lines = text.splitlines()
    if begin:
        # Half a line says half of a secret's name.
        lines = lines[1:]
    kept = tuple(known)
    shown = since(lines, moment)[-tail:]
    found = [clean(line, kept) for line in shown]
    if shown and not text.endswith("\n"):
        # Somebody writes it, or was ended meanwhile.
        found[-1] = clean(shown[-1], kept, whole=False)
    return found
