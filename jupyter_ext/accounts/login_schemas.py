"""What goes into and comes out of logging in, out and up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from ..models import Model
from .schemas import Email, Password, RoleName, User, Username


class Login(Model):
    """A name and its password."""

    # Any text: whether a name could exist is nobody's business who does not know the password.
    username: Annotated[str, Field(min_length=1, max_length=1000)]
    password: Annotated[str, Field(min_length=1, max_length=1000)]


class SentToken(Model):
    """The token that stands in ``Authorization`` otherwise."""

    token: Annotated[str | None, Field(max_length=10_000)] = None


class SentRefreshToken(Model):
    """What a new pair of tokens is asked for with."""

    refresh_token: Annotated[str, Field(min_length=1, max_length=10_000)]


class Registration(Model):
    """An account to be, of whoever asks for it."""

    username: Username
    password: Password
    email: Email = None
    invitation: Annotated[str | None, Field(max_length=200)] = None


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """A login, or one that was refreshed.

    Parameters
    ----------
    access
        The token that opens routes.
    refresh
        The token that makes the next pair; None where the first does both.
    expires_in
        Seconds that `access` lives.
    """

    user: User
    access: str
    refresh: str | None
    expires_in: int


class NewInvitation(Model):
    """An invitation to be."""

    role: RoleName = "user"
    email: Email = None
    days: Annotated[int, Field(ge=1, le=365)] = 7


class Invitation(Model):
    """An invitation as a list shows it: never its code."""

    id: str
    role: str
    email: str | None
    created_by: str
    created_at: datetime
    expires_at: datetime
    used_by: str | None
    used_at: datetime | None


class CreatedInvitation(Invitation):
    """An invitation just made; the only time that its code is told."""

    code: str


class WithdrawnInvitation(Model):
    """The invitation that opens nothing any more."""

    id: str
    status: Literal["withdrawn"] = "withdrawn"
