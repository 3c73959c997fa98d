"""How pgBackRest is run here: its configuration, its words, its errors in ours.

Source: pgBackRest's command and configuration references; the numbers of its errors are those of
``src/build/error/error.yaml``.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import Away, Conflict, InvalidRequest, NotFound, PlatformError, Unavailable
from .owned_files import make_folder, on_disk, write_private
from .place import SUPERUSER, Place
from .processes import ProgramFailed, run
from .repository import KEEP_ALL, Repository

CURE = "Install it: `sudo apt-get install pgbackrest`."

CONFIGURATION = "pgbackrest.conf"

COMMAND_SECONDS = 300
"""For what is no long work; a bucket far away answers slowly."""

STALL_SECONDS = 1800.0
"""For which long work may say, read and write nothing: as long as pgBackRest itself waits."""

PROCESSES = min(4, os.cpu_count() or 1)
"""That copy files side by side."""

UNREADABLE = ("CryptoError", "cipher header invalid", "key/value found outside of section")
"""What pgBackRest says of files that it decrypted with the wrong passphrase, or did not decrypt."""

Progress = Callable[[float], None]
"""Is told the fraction that is done."""

_PERCENT = re.compile(r"(?:file|match) .*?\(.*?, ([0-9.]+)%\)")
_COMPLAINT = re.compile(r"ERROR: \[(\d+)\]: (.*)")
_LOG_LINE = re.compile(r"(?:\S+ \S+ P\d\d +)?[A-Z]+: ")

SOME_FAILED = 104
"""What a command ends with that said before what failed."""


@dataclass(frozen=True, slots=True)
class Complaint:
    """What pgBackRest says of its failure.

    Parameters
    ----------
    code
        0 where it said nothing.
    cure
        Its hints.
    """

    code: int
    text: str
    cure: str = ""


def read_complaint(output: str) -> Complaint:
    """Return the error of which the output tells."""
    code, text, hints = 0, "", list[str]()
    inside = False
    for line in output.splitlines():
        if found := _COMPLAINT.search(line):
            if inside := code in (0, SOME_FAILED):
                code, text, hints = int(found[1]), found[2].strip(), []
        elif _LOG_LINE.match(line):
            inside = False
        elif inside and (words := line.strip()):
            if words.startswith("HINT:"):
                hints.append(words.removeprefix("HINT:").strip())
            elif not hints:
                text += f" {words}"
    return Complaint(code, text or output.strip(), " ".join(_sentence(hint) for hint in hints))


def _sentence(words: str) -> str:
    words = words[:1].upper() + words[1:]
    return words if words.endswith((".", "?", "!")) else f"{words}."


def _complaint(error: ProgramFailed, log: Path) -> Complaint:
    """Return why it failed, also where it could not say so itself."""
    said = read_complaint(error.output)
    if error.code >= 0 and said.text:
        return said
    cure = f"What it wrote into {log} may tell more."
    if error.code < 0:
        cure = (
            "Somebody ended it, or the machine had no memory left (`journalctl -k` or `dmesg` "
            "tells). Try again."
        )
    last = said.text.rpartition("\n")[2]
    return Complaint(0, f"it {error.how}" + (f", after it said: {last}" if last else ""), cure)


def error_of(doing: str, complaint: Complaint) -> PlatformError:
    """Return our error for pgBackRest's; `doing` completes "could not"."""
    if any(sign in complaint.text for sign in UNREADABLE):
        return Unavailable(
            f"pgBackRest could not {doing}, since the repository can't be decrypted.",
            "Is the passphrase the one with which its backups were made?",
        )
    what = f"pgBackRest could not {doing}: {_sentence(complaint.text)}"
    match complaint.code:
        case 32 | 40:
            return InvalidRequest(f"{what} {complaint.cure}".strip())
        case 50:
            return Conflict(
                "repository",
                "backups",
                f"pgBackRest could not {doing}, since another run of it is at work. Try again when "
                "it has ended.",
            )
        case 56 | 57:
            return Away(what, "Is PostgreSQL running?")
        case 75 | 80:
            return NotFound("backup", "", what)
        case 82:
            return Unavailable(what, "WAL does not reach the archive: see why in its status.")
        case _:
            return Unavailable(what, complaint.cure)


def find_pgbackrest() -> str:
    """Return the program's path.

    Raises
    ------
    Unavailable
        It is not installed.
    """
    if found := shutil.which("pgbackrest"):
        return found
    raise Unavailable("pgBackRest is not installed, which makes and restores backups.", CURE)


@dataclass
class PgBackRestProgram:
    """The program, configured for one cluster by a file of its own.

    Parameters
    ----------
    folder
        Of the configuration, the log and the locks; made where it is missing.
    stanza
        pgBackRest's name for the cluster.
    """

    place: Place
    repository: Repository
    folder: Path
    stanza: str
    path: str = field(default_factory=find_pgbackrest)
    _configured: bool = field(default=False, init=False)

    @property
    def configuration(self) -> Path:
        """The configuration's file."""
        return self.folder / CONFIGURATION

    @property
    def reason_file(self) -> Path:
        """Where the last run of the archiving command says what went wrong."""
        return self.folder / "log" / "archive-push.err"

    async def configure(self) -> None:
        """Write the configuration, and make the folders that it names.

        Raises
        ------
        Unavailable
            One can't be made.
        """
        await on_disk(self._write)
        self._configured = True

    def unconfigure(self) -> None:
        """Be as before the first configuration."""
        self._configured = False
        self.configuration.unlink(missing_ok=True)

    def _write(self) -> None:
        user = self.place.user
        folders = [self.folder, *(self.folder / name for name in ("log", "lock", "spool"))]
        if self.repository.local:
            folders.append(self.repository.path)
        for folder in folders:
            try:
                make_folder(folder, user)
            except OSError as error:
                raise Unavailable(
                    f"The folder {folder}, for backups, can't be made: {error.strerror or error}.",
                    "Make it, or choose another one (BackupSettings.repository).",
                ) from error
        lines = ["[global]", *_lines(self._common()), *_lines(self.repository.options())]
        lines += [f"[{self.stanza}]", *_lines(self._cluster())]
        write_private(self.configuration, "\n".join(lines) + "\n", user)

    def _common(self) -> Iterable[tuple[str, str]]:
        yield "log-path", str(self.folder / "log")
        yield "lock-path", str(self.folder / "lock")
        yield "spool-path", str(self.folder / "spool")
        yield "log-level-console", "off"
        yield "process-max", str(PROCESSES)
        yield "start-fast", "y"
        # What was left of a backup that broke off is thrown away: a whole one is surely right.
        yield "resume", "n"
        # Nothing goes away by itself.
        yield "expire-auto", "n"
        yield "repo1-retention-full", str(KEEP_ALL)

    def _cluster(self) -> Iterable[tuple[str, str]]:
        yield "pg1-path", str(self.place.data)
        yield "pg1-socket-path", str(self.place.sockets)
        yield "pg1-port", str(self.place.port)
        yield "pg1-user", SUPERUSER
        yield "pg1-database", "postgres"

    def command(self, name: str, *arguments: str) -> list[str]:
        """Return a command line."""
        known = [f"--config={self.configuration}", f"--stanza={self.stanza}"]
        return [self.path, *known, name, *arguments]

    async def run(
        self,
        doing: str,
        name: str,
        *arguments: str,
        progress: Progress | None = None,
        on_line: Callable[[str], None] | None = None,
        deadline: float | None = COMMAND_SECONDS,
        stall: float | None = None,
        level: str = "warn",
    ) -> str:
        """Run a command and return what it prints; its log goes to `on_line`.

        Parameters
        ----------
        deadline, stall
            As for `processes.run`.

        Raises
        ------
        PlatformError
            It failed: `doing` says at what.
        """
        if not self._configured:
            await self.configure()
        done = 0.0

        def read(line: str) -> None:
            nonlocal done
            if on_line is not None:
                on_line(line)
            if progress is not None and (found := _PERCENT.search(line)):
                fraction = min(1.0, float(found[1]) / 100)
                if fraction >= done + 0.01 or fraction == 1.0 > done:
                    done = fraction
                    progress(fraction)

        # The log goes to the other stream, so that what is asked for stands alone.
        words = self.command(name, f"--log-level-stderr={level}", *arguments)
        try:
            return await run(
                words, user=self.place.user, on_line=read, deadline=deadline, stall=stall
            )
        except ProgramFailed as error:
            raise error_of(doing, _complaint(error, self.folder / "log")) from error
        except TimeoutError as error:
            if stall is not None:
                raise Unavailable(
                    f"pgBackRest could not {doing}: for {stall / 60:g} minutes it read and wrote "
                    "nothing, and was ended.",
                    "Is the disk or the bucket of the repository there? Try again when it is.",
                ) from error
            raise Away(f"pgBackRest could not {doing} within {deadline:g} s.") from error
        except OSError as error:
            raise Unavailable(f"pgBackRest could not be started: {error}.", CURE) from error


def _lines(options: Iterable[tuple[str, str]]) -> Iterable[str]:
    for name, value in options:
        if "\n" in value or "\r" in value:
            raise InvalidRequest(fields={name: "must be one line"})
        yield f"{name}={value}"
