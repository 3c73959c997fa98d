"""The root of the command line: global options, its commands, and how it ends."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

import click

from .._version import __version__
from ..errors import PlatformError
from .lazy import LazyGroup
from .session import Session

COMMANDS = {
    "status": ("commands.system:status", "Show how the server and its services are."),
    "start": ("commands.services:start", "Start a service, or all."),
    "stop": ("commands.services:stop", "Stop a service, or all with the server itself."),
    "restart": ("commands.services:restart", "Restart a service, or all with the server itself."),
    "logs": ("commands.services:logs", "Show the logs of services."),
    "container": ("commands.containers:container", "Make, use and delete containers."),
    "gpu": ("commands.gpus:gpu", "See GPUs, who has them, and who waits."),
    "device": ("commands.devices:device", "See hosts with an engine; add, drain and remove them."),
    "image": ("commands.images:image", "List, pull, build, share and delete images."),
    "db": ("commands.databases:db", "Make, clone, open and drop PostgreSQL databases."),
    "backup": ("commands.backups:backup", "Back up databases; go back to any moment since."),
    "snapshot": ("commands.snapshots:snapshot", "Keep a workspace, and bring it back."),
    "operation": ("commands.operations:operation", "See and cancel long work."),
    "events": ("commands.system:events", "Follow what happens."),
    "api": ("commands.accounts:api", "Make, list and revoke API keys."),
    "user": ("commands.users:user", "Make, change and delete accounts."),
    "role": ("commands.roles:role", "Make and delete roles."),
    "invitation": ("commands.roles:invitation", "Invite people to register."),
    "whoami": ("commands.users:whoami", "Show whose credential the server sees."),
    "config": ("commands.settings:config", "Show and change the configuration file."),
    "quota": ("commands.quotas:quota", "See and set what users may have."),
    "audit": ("commands.audit:audit", "Show who did what."),
    "admin": ("commands.admin:admin", "Back up and restore the server's own store; renew its key."),
    "serve": ("commands.system:serve", "Start a server without kernels, for a team."),
}

ENDING = """\b
Environment:
  PIG_URL, PIG_API_KEY  a server elsewhere, and a key for it
  PIG_HOME              where a local server keeps its state
  PIG_CONFIG            configuration to read
  PIG_LOG_LEVEL         debug, info, warning or error

\b
Exit codes: 0 ok, 1 error, 2 wrong usage, 3 not found, 4 permission denied."""


@click.group(
    cls=LazyGroup,
    homes=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=ENDING,
)
@click.version_option(__version__, "-v", "--version", message="%(prog)s %(version)s")
def root() -> None:
    """Containers, images, databases: from the command line, by the server that JupyterLab runs."""


def run(argv: Sequence[str], name: str = "pig") -> int:
    """Run the program; returns its exit code."""
    session = Session(program=name)
    _complete_shell(name)
    try:
        session.show(session.invoke(root, argv, name))
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has seen enough (`pig events | head`); nothing more can be written.
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115
        return 1
    except (click.ClickException, click.Abort, PlatformError, KeyboardInterrupt) as error:
        return session.fail(error)
    except UnicodeEncodeError:
        # A shell hands over any bytes, and a request holds none that are no text.
        odd = [word for word in argv if not _is_text(word)]
        if not odd:
            raise
        return session.fail(click.UsageError(f"{ascii(odd[0])} is not UTF-8."))
    finally:
        session.close()
    return session.exit_code


def _is_text(word: str) -> bool:
    try:
        word.encode()
    except UnicodeEncodeError:
        return False
    return True


def _complete_shell(name: str) -> None:
    """Answer a shell that asks how a word goes on (``eval "$(_PIG_COMPLETE=bash_source pig)"``)."""
    variable = f"_{name.replace(' ', '_')}_COMPLETE".upper()
    instruction = os.environ.get(variable)
    if instruction:
        from click.shell_completion import shell_complete

        arguments: dict[str, Any] = {"obj": Session(program=name, timeout=2)}
        sys.exit(shell_complete(root, arguments, name, variable, instruction))
