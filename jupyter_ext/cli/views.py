"""What commands return: shown as text, as JSON, or as a table in a notebook.

All that a container named itself is escaped.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html import escape
from typing import Any

from ..client.things import Thing

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
STATUS_STYLES = {
    "running": "green",
    "ready": "green",
    "starting": "yellow",
    "stopping": "yellow",
    "succeeded": "green",
    "healthy": "green",
    "paused": "yellow",
    "restarting": "yellow",
    "pending": "yellow",
    "degraded": "yellow",
    "draining": "yellow",
    "dead": "red",
    "lost": "red",
    "failed": "red",
    "unhealthy": "red",
}


def clean(value: object) -> str:
    """Return a value as one line without control characters, which could rewrite a terminal."""
    return CONTROL.sub("\N{REPLACEMENT CHARACTER}", "" if value is None else str(value))


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Parameters
    ----------
    value
        Its cell for a row.
    """

    title: str
    value: Callable[[Thing], object]
    right: bool = False


@dataclass
class Table:
    """A list of things.

    Parameters
    ----------
    empty
        What to say where there is none, with what to do.
    name
        The column that stands alone where only names are asked for.
    total
        How many there are where these are only a part.
    """

    columns: Sequence[Column]
    things: Sequence[Thing]
    empty: str = "Nothing here."
    name: int = 0
    total: int | None = None

    def data(self) -> Any:
        """Return what ``--json`` prints."""
        return list(self.things)

    def cells(self) -> list[list[str]]:
        """Return the rows as text."""
        return [[clean(column.value(thing)) for column in self.columns] for thing in self.things]

    def brief(self) -> str:
        """Return the names alone."""
        return "\n".join(row[self.name] for row in self.cells())

    @property
    def rest(self) -> str:
        """A line about those that are not shown."""
        if self.total is None or self.total <= len(self.things):
            return ""
        return f"{len(self.things)} of {self.total} are shown."

    def rendered(self) -> Any:
        """Return it for rich."""
        from rich.table import Table as RichTable
        from rich.text import Text

        table = RichTable(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
        for column in self.columns:
            table.add_column(column.title, justify="right" if column.right else "left")
        for row in self.cells():
            table.add_row(*(Text(cell, style=STATUS_STYLES.get(cell, "")) for cell in row))
        return table

    def __len__(self) -> int:
        return len(self.things)

    def __iter__(self) -> Any:
        return iter(self.things)

    def __getitem__(self, index: int) -> Thing:
        return self.things[index]

    def __repr__(self) -> str:
        if not self.things:
            return self.empty
        return "\n".join(filter(None, (text_of(self.rendered()), self.rest)))

    def _repr_html_(self) -> str:
        if not self.things:
            return f"<p>{escape(self.empty)}</p>"
        left = 'style="text-align: left"'
        head = "".join(f"<th {left}>{escape(column.title)}</th>" for column in self.columns)
        rows = "".join(f"<tr>{''.join(map(self._html_cell, row))}</tr>" for row in self.cells())
        rest = f"<p>{escape(self.rest)}</p>" if self.rest else ""
        return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{rest}"

    def _html_cell(self, cell: str) -> str:
        return f'<td style="text-align: left">{escape(cell)}</td>'


@dataclass
class Details:
    """One thing, field by field."""

    thing: Thing
    fields: Sequence[tuple[str, object]] = field(default_factory=list)

    def data(self) -> Any:
        """Return what ``--json`` prints."""
        return self.thing

    def brief(self) -> str:
        """Return it in full: it was asked for."""
        return repr(self)

    def pairs(self) -> list[tuple[str, str]]:
        """Return the fields as text, without the empty ones."""
        found = self.fields or list(self.thing.items())
        shown = [(clean(name), flat(value)) for name, value in found]
        return [(name, text) for name, text in shown if text]

    def rendered(self) -> Any:
        """Return it for rich."""
        from rich.table import Table as RichTable
        from rich.text import Text

        table = RichTable.grid(padding=(0, 2, 0, 0))
        for name, value in self.pairs():
            table.add_row(Text(name, style="bold"), Text(value))
        return table

    def __repr__(self) -> str:
        return text_of(self.rendered())

    def _repr_html_(self) -> str:
        rows = "".join(
            f'<tr><th style="text-align: left">{escape(name)}</th>'
            f'<td style="text-align: left">{escape(value)}</td></tr>'
            for name, value in self.pairs()
        )
        return f"<table><tbody>{rows}</tbody></table>"


@dataclass
class Done:
    """A sentence about what was done, and the thing that it was done to."""

    sentence: str
    thing: Any = None
    name: str = ""

    def data(self) -> Any:
        """Return what ``--json`` prints."""
        return self.thing

    def brief(self) -> str:
        """Return the name of the thing alone."""
        return clean(self.name)

    def rendered(self) -> Any:
        """Return it for rich."""
        from rich.text import Text

        return Text(clean_lines(self.sentence))

    def __repr__(self) -> str:
        return clean_lines(self.sentence)


View = Table | Details | Done


def clean_lines(text: str) -> str:
    """Return several lines without other control characters."""
    return "\n".join(clean(line) for line in text.split("\n"))


def flat(value: object) -> str:
    """Return a value on one line: pairs and lists joined with commas."""
    if isinstance(value, dict):
        return ", ".join(f"{clean(name)}={flat(item)}" for name, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(flat, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return clean(value)


def text_of(rendered: Any, width: int = 10_000) -> str:
    """Return what rich would print, without colours."""
    from io import StringIO

    from rich.console import Console

    console = Console(file=StringIO(), width=width, color_system=None, force_jupyter=False)
    console.print(rendered)
    file = console.file
    printed = file.getvalue() if isinstance(file, StringIO) else ""
    return "\n".join(line.rstrip() for line in printed.rstrip("\n").split("\n"))


def dump(data: Any) -> str:
    """Return JSON for programs."""
    return json.dumps(data, ensure_ascii=False, indent=2, default=str)


def size(number: object) -> str:
    """Return bytes as people read them: ``1.2 GB``."""
    if not isinstance(number, int | float) or isinstance(number, bool):
        return ""
    amount = float(number)
    for unit in ("B", "kB", "MB", "GB"):
        if abs(amount) < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.3g} {unit}"
        amount /= 1000
    return f"{amount:.3g} TB"


def duration(seconds: object) -> str:
    """Return seconds as people read them: ``2 d 3 h``."""
    if not isinstance(seconds, int | float):
        return ""
    days, rest = divmod(int(seconds), 86_400)
    hours, rest = divmod(rest, 3600)
    minutes, left = divmod(rest, 60)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (left, "s")]
    return " ".join(f"{number} {unit}" for number, unit in parts if number) or "0 s"


def ago(moment: object, now: datetime | None = None) -> str:
    """Return how long ago a moment was: ``5 minutes ago``."""
    try:
        then = datetime.fromisoformat(str(moment))
    except ValueError:
        return ""
    then = then if then.tzinfo else then.replace(tzinfo=UTC)
    seconds = ((now or datetime.now(UTC)) - then).total_seconds()
    if seconds < 60:
        return "just now"
    for unit, length in (("minute", 60), ("hour", 3600), ("day", 86_400), ("year", 31_557_600)):
        following = {"minute": 3600, "hour": 86_400, "day": 31_557_600}.get(unit, float("inf"))
        if seconds < following:
            count = int(seconds // length)
            return f"{count} {unit}{'s' if count != 1 else ''} ago"
    return ""
