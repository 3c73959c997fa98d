"""Where a command shows things: a terminal, a pipe, or (elsewhere) a notebook."""

from __future__ import annotations

import json as json_text
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from ..client.call import OnProgress
    from ..client.things import Thing


class Console(Protocol):
    """What commands need of the place where they are run."""

    kept: bool
    """Whether what is shown goes into a file, which others may get to see."""

    @property
    def interactive(self) -> bool:
        """Whether a person sits there."""

    def show(self, result: Any, *, json: bool, quiet: bool) -> None:
        """Show a command's result."""

    def note(self, text: str) -> None:
        """Say something beside the result."""

    def error(self, text: str, fact: Any = None) -> None:
        """Say what went wrong; `fact` is it as JSON."""

    def write(self, text: str, stream: str = "stdout") -> None:
        """Pass on what a process printed, as it is and at once."""

    def progress(self, title: str, *, quiet: bool) -> AbstractContextManager[OnProgress]:
        """Show the progress of an operation."""


class TerminalConsole:
    """Standard output for results, standard error for everything else."""

    kept = False

    @property
    def interactive(self) -> bool:
        """Whether a person sits there."""
        return sys.stdin.isatty() and sys.stderr.isatty()

    def show(self, result: Any, *, json: bool, quiet: bool) -> None:
        """Show a command's result."""
        from .views import Table, dump

        if json:
            print(dump(result.data()))
        elif quiet:
            text = result.brief()
            if text:
                print(text)
        elif isinstance(result, Table) and not result.things:
            print(result.empty, file=sys.stderr)
        elif sys.stdout.isatty():
            from rich.console import Console as RichConsole

            RichConsole(highlight=False).print(result.rendered())
            if isinstance(result, Table) and result.rest:
                self.note(result.rest)
        else:
            print(repr(result))

    def note(self, text: str) -> None:
        """Say something beside the result."""
        print(text, file=sys.stderr)

    def error(self, text: str, fact: Any = None) -> None:
        """Say what went wrong."""
        from .views import clean_lines

        if fact is None:
            print(f"Error: {clean_lines(text)}", file=sys.stderr)
        else:
            print(json_text.dumps(fact, ensure_ascii=False, default=str), file=sys.stderr)

    def write(self, text: str, stream: str = "stdout") -> None:
        """Pass on what a process printed."""
        file = sys.stderr if stream == "stderr" else sys.stdout
        file.write(text)
        file.flush()

    def progress(self, title: str, *, quiet: bool) -> AbstractContextManager[OnProgress]:
        """Show bars on a terminal, nothing elsewhere."""
        if quiet or not sys.stderr.isatty():
            return nullcontext(_unseen)
        return _bars(title)


def _unseen(operation: Thing) -> None:
    """Take progress that nobody looks at."""


@contextmanager
def _bars(title: str) -> Iterator[OnProgress]:
    """Show one bar for the whole, and one for each layer of an image."""
    from rich.console import Console as RichConsole
    from rich.progress import BarColumn, DownloadColumn, Progress, Task, TaskID, TextColumn
    from rich.text import Text

    from .views import clean

    class Amount(DownloadColumn):
        """Bytes of a layer; of the whole, of which only a part is told, percents."""

        def render(self, task: Task) -> Text:
            if "whole" not in task.fields:
                return super().render(task)
            return Text(f"{task.percentage:.0f}%" if task.total else "")

    layers: dict[str, TaskID] = {}
    with Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=30),
        Amount(),
        TextColumn("{task.fields[status]}", markup=False),
        console=RichConsole(stderr=True),
        transient=True,
    ) as progress:
        whole = progress.add_task(title, total=None, status="", whole=True)

        def on_progress(operation: Thing) -> None:
            details = operation.get("details") or {}
            for layer in details.get("layers") or []:
                name = clean(layer.get("id"))
                if name not in layers:
                    layers[name] = progress.add_task(f"  {name}", total=None, status="")
                total = layer.get("total") or None
                status = clean(layer.get("status"))
                current = layer.get("current") or 0
                progress.update(layers[name], total=total, completed=current, status=status)
            done = operation.get("progress")
            known = isinstance(done, int | float)
            progress.update(
                whole,
                total=1.0 if known else None,
                completed=done if known else 0,
                status=clean(operation.get("message") or ""),
            )

        yield on_progress
