"""What goes into and comes out of accounts and API keys."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from ..models import Model

KeyKind = Literal["api-key", "local"]

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_ID_LIKE = re.compile(r"user-\d+")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
_ROLE = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_SCOPE = re.compile(r"[a-z][a-z-]*:([a-z][a-z-]*|\*)")


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody who owns things.

    Parameters
    ----------
    id
        ``user-<n>``, never given twice.
    permissions
        Granted to this account beside those that its role always has: its own, and those of a role
        of the administrator's making.
    """

    id: str
    username: str
    role: str
    enabled: bool = True
    permissions: tuple[str, ...] = ()

    @property
    def is_admin(self) -> bool:
        """Whether everything is open to this account."""
        return self.role == "admin"


@dataclass(frozen=True, slots=True)
class Credential:
    """What a request proved.

    Parameters
    ----------
    id
        What limits are counted by: ``key:<id>``, ``session:<id>``, ``jupyter:<account>``,
        ``ip:<address>``.
    kind
        ``api-key``, ``jwt``, ``cookie``, ``jupyter`` or ``anonymous``.
    limited
        False for Jupyter's own login and for the keys of kernels and of the local command line.
    scopes
        The only permissions that an API key opens; None opens all of its account's.
    """

    id: str
    kind: str
    account: Account | None
    limited: bool
    scopes: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Something that somebody did, or tried.

    Never a secret, and never a text of a request's body or headers: it may be one.

    Parameters
    ----------
    action
        The permission that it needed (``container:start``), or what else it was.
    status
        As HTTP says it, also where a dialect hides it.
    account
        Who; None for a stranger.
    credential
        The `Credential`'s id.
    address
        Tornado's ``remote_ip``.
    method
        Of the request; ``OPEN`` and ``CLOSE`` of a WebSocket, ``END`` of long work.
    path
        Without its query.
    target
        Names and ids of the thing, with spaces between.
    message
        What else there is to say: the code of an error.
    """

    action: str
    status: int
    account: Account | None = None
    credential: str = ""
    address: str = ""
    method: str = ""
    path: str = ""
    target: str = ""
    message: str = ""
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class Client:
    """Whoever calls without a credential that the edge has judged: somebody who logs in or out.

    Parameters
    ----------
    address
        Where the request comes from.
    same_origin
        False where a page of another origin sent it.
    bearer
        The JSON Web Token of its ``Authorization``, not looked at.
    cookie
        The one of its ``user_token``, not looked at.
    path, request_id
        For the audit.
    """

    address: str
    same_origin: bool = True
    bearer: str | None = None
    cookie: str | None = None
    path: str = ""
    request_id: str = ""


def username_problem(name: str) -> str | None:
    """Say what is wrong with a user name; None for a good one."""
    if not name:
        return "is needed"
    if len(name) > 32:
        return "is longer than 32 characters"
    if not re.fullmatch("[a-z]", name[0]):
        return "must begin with a small letter, a to z"
    if not _NAME.fullmatch(name):
        return "may have small letters, digits, - and _ only"
    if _ID_LIKE.fullmatch(name):
        return "is reserved: names like user-1 are ids"
    return None


def _username(name: str) -> str:
    if problem := username_problem(name):
        raise ValueError(problem)
    return name


def _printable(text: str) -> str:
    if not text.strip():
        raise ValueError("is needed")
    if not text.isprintable():
        raise ValueError("may not have control characters")
    return text.strip()


def _email(text: str | None) -> str | None:
    if text and not _EMAIL.fullmatch(text):
        raise ValueError("is not an e-mail address")
    return text or None


def _storable(text: str) -> str:
    if "\0" in text:
        raise ValueError("may not have NUL characters")
    return text


def _role(name: str) -> str:
    if not _ROLE.fullmatch(name):
        raise ValueError("may have small letters, digits, - and _ only, and begins with a letter")
    return name


def _permissions(names: list[str] | None) -> list[str] | None:
    for name in names or ():
        if not _SCOPE.fullmatch(name):
            raise ValueError(f"{name!r} is not of the form container:read or container:*")
    return names


def _future(moment: datetime | None) -> datetime | None:
    if moment is None:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    if moment <= datetime.now(UTC):
        raise ValueError("lies in the past")
    return moment.astimezone(UTC)


RoleName = Annotated[str, Field(max_length=1000), AfterValidator(_role)]
Email = Annotated[str | None, Field(max_length=254), AfterValidator(_email)]
Username = Annotated[str, Field(max_length=1000), AfterValidator(_username)]
Password = Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(_storable)]
Permissions = Annotated[list[str], Field(max_length=200), AfterValidator(_permissions)]
KeyName = Annotated[str, Field(max_length=100), AfterValidator(_printable)]


class NewUser(Model):
    """A user to be."""

    username: Username
    password: Password
    role: RoleName = "user"
    email: Email = None
    databases: Annotated[list[str], Field(max_length=100)] = []
    permissions: Permissions = []


class NewPassword(Model):
    """A password to be."""

    password: Password


class UserChange(Model):
    """What shall be different of a user; what is absent stays."""

    role: RoleName | None = None
    email: Email = None
    permissions: Annotated[
        list[str] | None, Field(max_length=200), AfterValidator(_permissions)
    ] = None
    enabled: bool | None = None
    status: Literal["active", "disabled"] | None = None
    """As the document of machines says `enabled`."""
    password: Password | None = None


class User(Model):
    """A user as others see them: no password, no hash."""

    id: str
    username: str
    role: str
    email: str | None
    enabled: bool
    permissions: list[str]
    databases: list[str]
    created_at: datetime
    last_login: datetime | None


class Deleted(Model):
    """What is gone now."""

    username: str
    status: Literal["deleted"] = "deleted"


class UserQuery(Model):
    """Which users to list."""

    role: RoleName | None = None
    status: Literal["active", "disabled"] | None = None
    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    offset: Annotated[int, Field(ge=0, le=1_000_000_000)] = 0
    page: Annotated[int | None, Field(ge=1, le=1_000_000)] = None
    """Counts before `offset`, from 1."""

    @property
    def start(self) -> int:
        """How many come before the first."""
        return self.offset if self.page is None else (self.page - 1) * self.limit


class UserDeletion(Model):
    """What becomes of a user's things; without either, they must have none."""

    transfer_to: Annotated[str | None, Field(max_length=64)] = None
    """A user's name or id, to whom they go."""
    purge: bool = False
    """They are deleted."""


class NewApiKey(Model):
    """A key to be.

    Without `expires_at` it lives until it is revoked; without `scopes` it opens all that its
    account may do.
    """

    name: KeyName
    owner: Annotated[str | None, Field(max_length=64)] = None
    expires_at: Annotated[datetime | None, AfterValidator(_future)] = None
    scopes: Annotated[list[str] | None, Field(max_length=200), AfterValidator(_permissions)] = None


class ApiKey(Model):
    """A key as a list shows it: never the key itself."""

    id: str
    name: str
    hint: str
    scopes: list[str] | None
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    owner: str


class CreatedApiKey(ApiKey):
    """A key just made; the only time that it is told."""

    key: str


class KeyQuery(Model):
    """Which keys to list."""

    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    offset: Annotated[int, Field(ge=0, le=1_000_000_000)] = 0


class ApiKeyQuery(KeyQuery):
    """Which API keys to list."""

    owner: Annotated[str | None, Field(max_length=64)] = None
    """A user's name or id: only theirs."""


class Revoked(Model):
    """The key that opens nothing any more."""

    id: str
    status: Literal["revoked"] = "revoked"
