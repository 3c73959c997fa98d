"""What a command has in hand: the settings, a client, and where to show things."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import Forbidden, InvalidRequest, NotFound, PlatformError, Unauthenticated
from .console import Console, TerminalConsole

if TYPE_CHECKING:
    from ..client import Client
    from ..client.call import OnProgress
    from ..client.things import Thing
    from ..settings_file import SettingsFile

EXIT_CODES: list[tuple[type[PlatformError], int]] = [
    (NotFound, 3),
    (Forbidden, 4),
    (Unauthenticated, 4),
    (InvalidRequest, 2),
]
"""Of errors; everything else is 1."""

LISTS = (
    "backup",
    "container",
    "database",
    "device",
    "image",
    "operation",
    "snapshot",
    "user",
    "role",
    "invitation",
)
"""Kinds of things that have a command to list them."""

GROUPS = {"database": "db"}
"""Groups of commands that are not called as what they are about."""


@dataclass
class Session:
    """One run of the program, or one notebook's magics.

    Parameters
    ----------
    program
        What it is called, for messages.
    console
        Where things are shown.
    make_client
        Makes the client instead of the settings.
    """

    program: str = "pig"
    url: str | None = None
    api_key: str | None = field(default=None, repr=False)
    config: str | None = None
    json: bool = False
    quiet: bool = False
    verbose: bool = False
    exit_code: int = 0
    timeout: float = 30.0
    console: Console = field(default_factory=TerminalConsole)
    make_client: Callable[[], Client] | None = None
    _followed: Thing | None = field(default=None, init=False, repr=False)
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)

    @cached_property
    def client(self) -> Client:
        """The client for the server that the settings name, or the local one."""
        if self.make_client is not None:
            return self.make_client()
        from ..client import Client

        settings = self.settings
        self._log(settings.get("logging", "level"))
        url = self.url or self.environ.get("PIG_URL") or settings.get("system", "url")
        key = self.api_key or self.environ.get("PIG_API_KEY")
        file = settings.get("system", "api_key_file")
        return Client(
            url,
            key,
            token_file=Path(file).expanduser() if file and not key else None,
            home=self.environ.get("PIG_HOME"),
            timeout=self.timeout,
        )

    @property
    def settings(self) -> SettingsFile:
        """The configuration file."""
        from ..settings_file import BadSettings, SettingsFile

        try:
            return SettingsFile.read(self.config, self.environ)
        except BadSettings as error:
            raise click.UsageError(str(error)) from error

    def close(self) -> None:
        """Close the client, where one was made."""
        made = self.__dict__.pop("client", None)
        if made is not None:
            made.close()

    def _log(self, configured: str | None) -> None:
        level = "debug" if self.verbose else self.environ.get("PIG_LOG_LEVEL") or configured
        if level:
            number = logging.getLevelNamesMapping().get(level.upper())
            if number is None:
                raise click.UsageError(f"Log level {level}: write debug, info, warning or error.")
            logging.basicConfig(format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
            logging.getLogger("jupyter_ext").setLevel(number)

    def invoke(self, command: click.Command, words: Sequence[str], name: str) -> Any:
        """Run a command and return its result; Ctrl-C stays what it is."""
        try:
            with command.make_context(name, list(words), obj=self) as context:
                return command.invoke(context)
        except click.exceptions.Exit as end:
            self.exit_code = end.exit_code
            return None

    def show(self, result: Any) -> None:
        """Show what a command returned."""
        if result is not None:
            self.console.show(result, json=self.json, quiet=self.quiet)

    def say(self, text: str) -> None:
        """Say something that is not the result, unless it should be quiet."""
        if not (self.quiet or self.json):
            self.console.note(text)

    @contextmanager
    def progress(self, title: str) -> Iterator[OnProgress]:
        """Show the progress of an operation while it goes on."""
        with self.console.progress(title, quiet=self.quiet or self.json) as shown:

            def on_progress(operation: Thing) -> None:
                self._followed = operation
                shown(operation)

            yield on_progress
            self._followed = None

    def fail(self, error: BaseException) -> int:
        """Say what went wrong on stderr; returns the exit code."""
        code, text = self.told(error)
        if self.json and isinstance(error, PlatformError):
            details = {**error.details, **error.fields}
            fact = {"code": error.code, "message": error.message, "details": details}
            self.console.error(text, {"error": fact})
        elif text:
            self.console.error(text)
        return code

    def told(self, error: BaseException) -> tuple[int, str]:
        """Return an error's exit code and what to say of it."""
        if isinstance(error, KeyboardInterrupt):
            return 130, self._interrupted()
        if isinstance(error, click.Abort):
            return 1, "Stopped."
        if isinstance(error, click.exceptions.NoArgsIsHelpError):
            return 2, error.format_message()
        if isinstance(error, click.ClickException):
            context = getattr(error, "ctx", None)
            path = context.command_path if context else self.program
            cure = f" See `{path} --help`." if isinstance(error, click.UsageError) else ""
            return error.exit_code, f"{error.format_message()}{cure}"
        if isinstance(error, PlatformError):
            code = next((code for kind, code in EXIT_CODES if isinstance(error, kind)), 1)
            return code, self._sentence(error)
        return 1, str(error)

    def _interrupted(self) -> str:
        """Say what goes on without whoever waited for it."""
        work, self._followed = self._followed, None
        if work is None or work.get("ended_at"):
            return "Interrupted."
        return (
            f"Interrupted; {work.id} goes on in the server. "
            f"`pig operation cancel {work.id}` ends it."
        )

    def _sentence(self, error: PlatformError) -> str:
        text = error.message
        if error.fields and not all(problem in text for problem in error.fields.values()):
            text += "".join(f"\n  {name}: {problem}" for name, problem in error.fields.items())
        if isinstance(error, NotFound) and error.kind in LISTS:
            text += f" See `{self.listing(error.kind)}`."
        return text

    def listing(self, kind: str) -> str:
        """Return the command that lists things of a kind."""
        return f"{self.program} {GROUPS.get(kind, kind)} list"


pass_session = click.make_pass_decorator(Session)
