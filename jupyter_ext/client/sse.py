"""Server-sent events, line by line."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from .things import wrap


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """One event of a stream."""

    event: str
    data: str
    id: str | None = None

    def json(self) -> Any:
        """Return the data's JSON, `{}` where it is none."""
        try:
            return wrap(json.loads(self.data))
        except ValueError:
            return wrap({})


class SseParser:
    """Puts events together from the lines of a stream."""

    def __init__(self) -> None:
        self.last_id: str | None = None
        self._event = ""
        self._data: list[str] = []

    def feed(self, line: str) -> ServerSentEvent | None:
        """Take a line without its end; returns an event when the line completes one."""
        if not line:
            return self._complete()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            self._event = value
        elif name == "data":
            self._data.append(value)
        elif name == "id" and "\0" not in value:
            self.last_id = value
        return None

    def _complete(self) -> ServerSentEvent | None:
        event, data = self._event, self._data
        self._event, self._data = "", []
        if not data:
            return None
        return ServerSentEvent(event or "message", "\n".join(data), self.last_id)
