"""Names that people give, where they are always quoted: whatever can be printed is a good one."""

from __future__ import annotations


def name_problem(name: str, most: int, whose: str = "names") -> str | None:
    """Say what is wrong with a name; None for a good one.

    Parameters
    ----------
    most
        Bytes that it may have.
    whose
        What has such names, for people.
    """
    if not name:
        return "is needed"
    if not name.isprintable():
        return "may not have control characters"
    if name != name.strip():
        return "may not begin or end with a space"
    if name in (".", ".."):
        return "may not be . or .., which no address can hold"
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        return "has half a character"
    if size > most:
        return f"has {size} bytes; {whose} have {most} at most"
    return None
