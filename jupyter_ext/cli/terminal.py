"""Commands in containers with a person, or a pipe, at the other end."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from .console import Console

if TYPE_CHECKING:
    from ..client import Client
    from ..client.containers import Execution


def attach(client: Client, ref: str, command: Sequence[str]) -> int:
    """Give this terminal to a command in a container; returns its exit code."""
    with client.containers.exec(ref, command, tty=True) as run, _raw(), _resizing(run):
        thread = threading.Thread(target=_send_keys, args=(run,), daemon=True)
        thread.start()
        for output in run:
            sys.stdout.write(output.text)
            sys.stdout.flush()
    return run.exit_code or 0


def pipe(client: Client, console: Console, ref: str, command: Sequence[str]) -> int:
    """Pass standard input on to a command in a container; returns its exit code."""
    with client.containers.exec(ref, command) as run:
        thread = threading.Thread(target=_send_lines, args=(run,), daemon=True)
        thread.start()
        for output in run:
            console.write(output.text, output.stream)
    return run.exit_code or 0


def _send_keys(run: Execution) -> None:
    """Send what is typed, key by key; ends with the program or its connection."""
    with suppress(Exception):  # the connection is gone, which the reader of its output tells
        while True:
            typed = os.read(sys.stdin.fileno(), 4096)
            if not typed:
                return
            run.send(typed.decode(errors="replace"))


def _send_lines(run: Execution) -> None:
    with suppress(Exception):  # the connection is gone, which the reader of its output tells
        for line in sys.stdin:
            run.send(line)
        run.end_input()


@contextmanager
def _raw() -> Iterator[None]:
    """Pass every key on as it is, and put the terminal back afterwards."""
    import termios
    import tty

    file = sys.stdin.fileno()
    before = termios.tcgetattr(file)
    tty.setraw(file)
    try:
        yield
    finally:
        termios.tcsetattr(file, termios.TCSADRAIN, before)


@contextmanager
def _resizing(run: Execution) -> Iterator[None]:
    """Tell the command its terminal's size, now and whenever it changes."""

    def tell(*_: Any) -> None:
        columns, rows = shutil.get_terminal_size()
        with suppress(Exception):  # a size that can't be told is no reason to stop
            run.resize(rows, columns)

    tell()
    before = signal.signal(signal.SIGWINCH, tell)
    try:
        yield
    finally:
        signal.signal(signal.SIGWINCH, before)
