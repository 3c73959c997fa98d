"""What the streams of events, logs and commands give, and how their frames are read."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ..errors import PlatformError, Unavailable
from .replies import kind_of, rebuild
from .sse import ServerSentEvent
from .things import Thing, wrap


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened.

    Parameters
    ----------
    topic
        ``containers``, ``images``, ``operations``, ``engine``; ``reset`` when events were missed
        that are no longer kept.
    id
        What a later call resumes after.
    """

    topic: str
    data: Thing
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Output:
    """A piece of what a process printed."""

    text: str
    stream: Literal["stdout", "stderr"] = "stdout"

    def __str__(self) -> str:
        return self.text


def event_of(sent: ServerSentEvent) -> Event:
    """Read an event of the stream of events."""
    return Event(sent.event, Thing(sent.json()), sent.id)


def log_of(sent: ServerSentEvent) -> Output | None:
    """Read an event of a followed log; None for one that is no text.

    Raises
    ------
    PlatformError
        The stream ended with an error.
    """
    data = sent.json()
    if sent.event == "error":
        raise frame_error(data)
    text = data.get("text") if isinstance(data, dict) else None
    if not isinstance(text, str):
        return None
    return Output(text, "stderr" if data.get("stream") == "stderr" else "stdout")


def frame_error(data: Any) -> PlatformError:
    """Return the error that an error frame or event tells of."""
    facts = data if isinstance(data, dict) else {}
    details = facts.get("details")
    return rebuild(
        kind_of(facts.get("code"), 500),
        str(facts.get("message") or "The server ended the stream with an error."),
        facts=details if isinstance(details, dict) else {},
    )


class TerminalFrames:
    """Reads the Jupyter terminal protocol of one command."""

    def __init__(self) -> None:
        self.exit_code: int | None = None
        self.ended = False

    def read(self, message: str | bytes) -> Output | None:
        """Take a frame; returns what was printed, if it says that."""
        frame = json.loads(message)
        if not isinstance(frame, list) or not frame:
            return None
        kind, *rest = frame
        if kind in ("stdout", "stderr") and rest:
            return Output(str(rest[0]), kind)
        if kind == "exit" and rest:
            self.exit_code = rest[0]
        elif kind == "error" and rest:
            raise frame_error(rest[0])
        elif kind == "disconnect":
            self.ended = True
        return None


def terminal_frame(kind: str, *rest: object) -> str:
    """Return a frame of the Jupyter terminal protocol."""
    return json.dumps([kind, *rest])


def exec_parameters(cmd: str | Sequence[str], *, tty: bool) -> list[tuple[str, str]]:
    """Return the query of a command: a text is run by the container's shell, a list as it is."""
    words = ["sh", "-c", cmd] if isinstance(cmd, str) else list(cmd)
    return [("cmd", shlex.join(words)), ("tty", "1" if tty else "0")]


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame of the event socket.

    Parameters
    ----------
    type
        The topic, or ``error``.
    event_id
        What `resume` continues after.
    """

    type: str
    data: Thing
    id: str | None = None
    event_id: str | None = None


def frame_of(message: str | bytes) -> Frame:
    """Read a server's frame."""
    try:
        frame = json.loads(message)
        return Frame(
            str(frame["type"]),
            wrap(frame.get("data") or {}),
            frame.get("id"),
            frame.get("eventId"),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Unavailable("The server sent a frame that makes no sense.") from error
