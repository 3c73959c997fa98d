"""What an operation looks like from outside."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic_core import to_jsonable_python

from ..models import Model

State = Literal["pending", "running", "succeeded", "failed", "cancelled"]

ACTIVE = ("pending", "running")
"""States that end some day."""


class Problem(Model):
    """Why an operation failed."""

    code: str
    message: str
    details: dict[str, Any] = {}


class Operation(Model):
    """Long work: what it is about, how far it is, how it ended."""

    id: str
    kind: str
    subject: str
    owner: str
    state: State
    progress: Annotated[float | None, Field(ge=0, le=1)] = None
    message: str = ""
    log: list[str] = []
    details: dict[str, Any] = {}
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    error: Problem | None = None
    result: Any = None

    @property
    def active(self) -> bool:
        """Whether it goes on."""
        return self.state in ACTIVE


class OperationQuery(Model):
    """Which operations to list."""

    state: State | None = None
    kind: Annotated[str | None, Field(max_length=100)] = None
    active: bool | None = None
    limit: Annotated[int, Field(ge=1, le=1000)] = 50
    offset: Annotated[int, Field(ge=0, le=1_000_000_000)] = 0


@dataclass(frozen=True, slots=True)
class Recovered:
    """How an interrupted operation was brought to its end.

    Parameters
    ----------
    succeeded
        It was finished; otherwise it was undone.
    result
        What it would have answered.
    """

    message: str
    succeeded: bool = False
    result: Any = None


def jsonable(value: object) -> Any:
    """Turn models, dataclasses, moments and the like into what ``json.dumps`` takes."""
    return to_jsonable_python(value, fallback=str, inf_nan_mode="null")
