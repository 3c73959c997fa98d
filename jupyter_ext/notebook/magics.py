"""``%container``, ``%image``, ``%database`` and so on: the command line's commands, in a cell."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Any

import click
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, line_cell_magic, line_magic, magics_class

from ..cli.commands.backups import backup
from ..cli.commands.containers import container
from ..cli.commands.gpus import gpu
from ..cli.commands.images import image
from ..cli.commands.snapshots import snapshot
from ..cli.console import Console, TerminalConsole
from ..cli.lazy import Command
from ..cli.session import GROUPS, Session
from ..cli.views import View
from ..errors import PlatformError
from .console import NotebookConsole
from .databases import database
from .failure import CommandFailed
from .script import Script

PROGRAM = "%container"


@dataclass
class CellSession(Session):
    """A session that knows the cell below a ``%%container`` line."""

    cell: str = ""

    def listing(self, kind: str) -> str:
        """Return the magic that lists things of a kind; for the rest there is the command line."""
        if kind in ("backup", "container", "database", "image", "snapshot"):
            return f"%{kind} list"
        return f"pig {GROUPS.get(kind, kind)} list"


class Result:
    """What a command gave: shown when it came, and then to work with.

    ``x = %container list`` keeps it; its items, fields and length are those of what was shown.
    """

    def __init__(self, view: View, count: int) -> None:
        self._view = view
        self._count = count

    def __getattr__(self, name: str) -> Any:
        return getattr(self._view.data(), name)

    def __getitem__(self, key: Any) -> Any:
        return self._view.data()[key]

    def __iter__(self) -> Any:
        return iter(self._view.data())

    def __len__(self) -> int:
        return len(self._view.data())

    def __repr__(self) -> str:
        return repr(self._view)

    def _ipython_display_(self) -> None:
        import IPython

        shell = IPython.core.getipython.get_ipython()
        if shell is None or shell.execution_count != self._count:
            display: Any = IPython.display.display
            display(self._view)


@magics_class
class ContainerMagics(Magics):
    """Containers from cells."""

    def __init__(self, shell: InteractiveShell, session: CellSession | None = None) -> None:
        super().__init__(shell)
        self.in_notebook = hasattr(shell, "kernel")
        console: Console = NotebookConsole() if self.in_notebook else TerminalConsole()
        self.session = session or CellSession(program=PROGRAM, console=console)

    @line_cell_magic("container")  # type: ignore[arg-type]  # IPython types it as never called
    def container(self, line: str, cell: str | None = None) -> Any:
        """Use containers: ``%container list``, ``run``, ``start``, ``stop``, ``logs``, ``exec``, ….

        ``%container --help`` shows all; ``%%container NAME`` runs the cell in a container.
        """
        words = _split(line)
        self.session.cell = cell or ""
        if cell is None:
            return self._run(container, words or ["--help"], PROGRAM)
        return self._run(in_container, words, "%%container")

    @line_magic("gpu")  # type: ignore[arg-type]  # IPython types it as never called
    def gpu(self, line: str) -> Any:
        """See GPUs: ``%gpu list``, ``show``, ``who``, ``queue``."""
        return self._run(gpu, _split(line) or ["list"], "%gpu")

    @line_magic("image")  # type: ignore[arg-type]  # IPython types it as never called
    def image(self, line: str) -> Any:
        """Use images: ``%image list``, ``pull``, ``share``, ``unshare``, ``rm``, ….

        ``%image --help`` shows all.
        """
        return self._run(image, _split(line) or ["list"], "%image")

    @line_magic("database")  # type: ignore[arg-type]  # IPython types it as never called
    def database(self, line: str) -> Any:
        """Use PostgreSQL databases: ``%database list``, ``create``, ``use``, ``clone``, ``drop``.

        ``%database use NAME`` opens one for ``psycopg.connect()`` and JupySQL's ``%sql``.
        """
        return self._run(database, _split(line) or ["list"], "%database")

    @line_magic("backup")  # type: ignore[arg-type]  # IPython types it as never called
    def backup(self, line: str) -> Any:
        """Go back in time: ``%backup list``, ``create``, ``restore``, ``verify``, ``delete``.

        ``%backup restore --to TIME`` shows what would happen; with ``--yes`` it happens.
        """
        return self._run(backup, _split(line) or ["list"], "%backup")

    @line_magic("snapshot")  # type: ignore[arg-type]  # IPython types it as never called
    def snapshot(self, line: str) -> Any:
        """Use snapshots of your workspace: ``%snapshot list``, ``create``, ``restore``, ``delete``.

        A restore makes what is there now a snapshot of its own.
        """
        return self._run(snapshot, _split(line) or ["list"], "%snapshot")

    def _run(self, command: click.Command, words: list[str], name: str) -> Any:
        session = self.session
        session.json = session.quiet = session.verbose = False
        session.exit_code = 0
        if isinstance(session.console, NotebookConsole):
            session.console.begin()
        try:
            view = session.invoke(command, words, name)
        except (click.ClickException, click.Abort, PlatformError, KeyboardInterrupt) as error:
            raise CommandFailed(session.told(error)[1]) from None
        if session.exit_code:
            raise CommandFailed(f"The command ended with exit code {session.exit_code}.")
        if view is None:
            return None
        session.show(view)
        if session.json or session.quiet or not self.in_notebook:
            return None
        return Result(view, self.shell.execution_count if self.shell else 0)


@click.command(cls=Command, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--shell",
    is_flag=False,
    flag_value="sh",
    default="sh",
    metavar="SHELL",
    help="What reads the cell: sh, bash, python3.  [sh]",
)
@click.argument("ref", metavar="NAME")
@click.make_pass_decorator(CellSession)
def in_container(session: CellSession, shell: str, ref: str) -> None:
    """Run the cell in a container and show what it prints as it comes."""
    cell = session.cell
    if not cell.strip():
        raise click.UsageError("The cell is empty: write below the first line what to run.")
    script = Script.of(shell, cell)
    with session.client.containers.exec(ref, script.command) as run:
        if script.typed:
            run.send(script.typed)
        for output in run:
            session.console.write(output.text, output.stream)
    session.exit_code = run.exit_code or 0


def _split(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError as error:
        raise CommandFailed(f"{error}: {line}") from None
