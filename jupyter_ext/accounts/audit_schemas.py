"""What is asked of the audit, and what it answers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field

from ..models import Model

Outcome = Literal["succeeded", "refused", "failed"]

REFUSALS = (401, 403, 429)
"""What says no to the caller, where every other error says what went wrong."""


def outcome_of(status: int) -> Outcome:
    """Say in a word how something ended."""
    if status < 400:
        return "succeeded"
    return "refused" if status in REFUSALS else "failed"


def _in_utc(moment: datetime | None) -> datetime | None:
    if moment is None:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


Moment = Annotated[datetime | None, AfterValidator(_in_utc)]


class AuditQuery(Model):
    """Which entries to list; those that fit all that is given."""

    model_config = ConfigDict(populate_by_name=True)

    user: Annotated[str | None, Field(max_length=64, description="Name or id")] = None
    action: Annotated[
        str | None, Field(max_length=100, description="container:start, or container:* for all")
    ] = None
    target: Annotated[
        str | None, Field(max_length=200, description="One of the names or ids of the thing")
    ] = None
    outcome: Outcome | None = None
    from_: Annotated[Moment, Field(alias="from", description="At or after this moment")] = None
    to: Annotated[Moment, Field(description="Before this moment")] = None
    address: Annotated[str | None, Field(max_length=64)] = None
    before: Annotated[
        int | None,
        Field(ge=1, lt=1 << 63, description="Older than this entry: `next` of the page before"),
    ] = None
    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    offset: Annotated[int, Field(ge=0, le=1_000_000_000)] = 0


class AuditItem(Model):
    """Who did what to which thing, from where, with which credential, and how it ended."""

    id: int
    at: datetime
    user: str | None
    username: str | None
    credential: str
    address: str
    action: str
    method: str
    path: str
    target: str
    status: int
    outcome: Outcome
    message: str
    request_id: str
