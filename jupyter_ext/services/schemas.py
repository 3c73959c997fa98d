"""What goes in and out of services."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field, field_validator

from ..models import Model

Action = Literal["start", "stop", "restart"]

MOST_LINES = 2000


class Service(Model):
    """A service, and how it is."""

    name: str
    status: str = Field(
        description="running, starting, restarting, stopping, stopped, failed, not_installed or "
        "unavailable"
    )
    port: int | None = Field(None, description="Where it listens")
    pid: int | None = None
    uptime: int | None = Field(None, description="Seconds since it was started")
    memory_bytes: int | None = Field(
        None, description="Resident memory of the process and of those that it has started"
    )
    kind: str = Field(description="postgres, jupyter, process or systemd")
    actions: list[Action] = Field(description="What an administrator can have it do now")
    opens: bool = Field(False, description="Whether it has a page that an administrator opens")
    problem: str | None = Field(None, description="What is wrong, and what to do")


class ServiceLogQuery(Model):
    """Which lines of a log."""

    tail: int = Field(100, ge=1, le=MOST_LINES, description="The last ones, so many")
    since: datetime | None = Field(None, description="Of this moment and later; RFC 3339")

    @field_validator("since")
    @classmethod
    def _with_zone(cls, value: datetime | None) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError("needs a time zone, as in 2026-01-31T08:00:00Z")
        return value


class ServiceLog(Model):
    """The end of a log, without secrets."""

    lines: list[str]
