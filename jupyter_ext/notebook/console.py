"""A notebook as the place where commands show things."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from html import escape
from typing import TYPE_CHECKING, Any

from ..cli.views import clean, dump, size

if TYPE_CHECKING:
    from ..client.call import OnProgress
    from ..client.things import Thing

UPDATE_SECONDS = 0.15
"""Progress is drawn no more often; a browser shows no difference."""


class NotebookConsole:
    """Displays for results, streams for what processes print."""

    interactive = False
    kept = True

    def __init__(self) -> None:
        self._shown: Any = None

    def show(self, result: Any, *, json: bool, quiet: bool) -> None:
        """Show a result; what one command shows again replaces what it showed before."""
        if json or quiet:
            print(dump(result.data()) if json else result.brief())
            return
        if self._shown is None:
            self._shown = _displayed(result)
        else:
            self._shown.update(result)

    def begin(self) -> None:
        """Start a command with nothing shown."""
        self._shown = None

    def note(self, text: str) -> None:
        """Say something beside the result."""
        print(text, file=sys.stderr)

    def error(self, text: str, fact: Any = None) -> None:
        """Say what went wrong."""
        print(text, file=sys.stderr)

    def write(self, text: str, stream: str = "stdout") -> None:
        """Pass on what a process printed."""
        file = sys.stderr if stream == "stderr" else sys.stdout
        file.write(text)
        file.flush()

    def progress(self, title: str, *, quiet: bool) -> AbstractContextManager[OnProgress]:
        """Show bars while it goes on, and nothing when it has ended."""
        return _bars(title, quiet)


class Bars:
    """The progress of an operation, as HTML and as text."""

    def __init__(self, title: str, operation: Thing | None = None) -> None:
        self.title = title
        self.operation = operation

    def _repr_html_(self) -> str:
        return bars(self.title, self.operation) if self.operation is not None else ""

    def __repr__(self) -> str:
        message = self.operation.get("message") if self.operation is not None else None
        return clean(f"{self.title}: {message}" if message else "")


def bars(title: str, operation: Thing) -> str:
    """Return the progress of an operation and of its layers as HTML."""
    details = operation.get("details") or {}
    rows = [_bar(title, operation.get("progress"), operation.get("message") or "")]
    for layer in details.get("layers") or []:
        current, total = layer.get("current") or 0, layer.get("total") or 0
        said = clean(layer.get("status"))
        if total and current < total:
            said += f" {size(current)} of {size(total)}"
        rows.append(_bar(clean(layer.get("id")), current / total if total else None, said))
    return f'<table role="presentation"><tbody>{"".join(rows)}</tbody></table>'


def _bar(name: str, fraction: object, said: str) -> str:
    known = isinstance(fraction, int | float)
    value = f' value="{min(max(float(str(fraction)), 0), 1):.3f}"' if known else ""
    left = 'style="text-align: left"'
    return (
        f"<tr><td {left}>{escape(name)}</td>"
        f'<td><progress{value} aria-label="{escape(name)}"></progress></td>'
        f"<td {left}>{escape(said)}</td></tr>"
    )


@contextmanager
def _bars(title: str, quiet: bool) -> Iterator[OnProgress]:
    handle: Any = None
    drawn = 0.0

    def on_progress(operation: Thing) -> None:
        nonlocal handle, drawn
        now = time.monotonic()
        if quiet or not operation.get("message") or now - drawn < UPDATE_SECONDS:
            return
        drawn = now
        if handle is None:
            handle = _displayed(Bars(title, operation))
        else:
            handle.update(Bars(title, operation))

    try:
        yield on_progress
    finally:
        if handle is not None:
            handle.update(Bars(title))


def _displayed(shown: object) -> Any:
    import IPython.display

    display: Any = IPython.display.display
    return display(shown, display_id=True)
