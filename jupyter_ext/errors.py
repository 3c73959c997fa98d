"""What can go wrong, and what each edge says of it.

* PlatformError              500
  + InvalidRequest           400   fields: {name: problem}
  + Unauthenticated          401
  + Forbidden                403
    - QuotaExceeded                limit, used, requested, by
  + NotFound                 404   kind, name
  + MethodNotAllowed         405   allowed
  + Conflict                 409   kind, name
  + TooLarge                 413   limit
  + RateLimited              429   retry_after
  + Unavailable              503   what, cure

Managers raise these; drivers translate into them what their engine says; one place (the edge)
renders them. A message says what happened, to what, and, where there is one, ends with the cure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Self


class PlatformError(Exception):
    """The root of all that this package raises on purpose.

    Where `message` is a document's own text in another language, `english` says it to whoever asks
    for English (``Accept-Language``).

    Parameters
    ----------
    message
        What happened, for a person.
    fields
        Problems by name of the wrong field, nested names joined with dots
        (``volumes.0.host_path``).
    details
        Facts for a program; never a secret.
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "INTERNAL_ERROR"
    grpc: ClassVar[str] = "INTERNAL"
    english: str = ""

    def __init__(
        self,
        message: str,
        *,
        fields: Mapping[str, str] | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.fields: dict[str, str] = dict(fields or {})
        self.details: dict[str, Any] = dict(details or {})

    def in_english(self) -> Self:
        """Return the same error with its English text."""
        # Not by `copy`, which calls the constructor, and each class has one of its own.
        told = type(self).__new__(type(self))
        told.__dict__.update(self.__dict__)
        told.message = self.english
        return told


class InvalidRequest(PlatformError):
    """The request can't be understood; `fields` names every wrong one."""

    status = 400
    code = "INVALID_REQUEST"
    grpc = "INVALID_ARGUMENT"

    def __init__(
        self, message: str = "", *, fields: Mapping[str, str] | None = None, **details: Any
    ) -> None:
        if not message:
            message = "; ".join(f"{name}: {problem}" for name, problem in (fields or {}).items())
        super().__init__(message or "The request is not valid.", fields=fields, details=details)


class Unauthenticated(PlatformError):
    """No credential, or one that is wrong, expired or revoked."""

    status = 401
    code = "UNAUTHORIZED"
    grpc = "UNAUTHENTICATED"

    def __init__(self, message: str = "") -> None:
        super().__init__(
            message
            or "This needs a credential: log in to Jupyter, or send an API key as X-API-Key "
            "(make one with `pig api key create --name NAME`)."
        )


class Forbidden(PlatformError):
    """The caller is known and may not do this."""

    status = 403
    code = "FORBIDDEN"
    grpc = "PERMISSION_DENIED"


class QuotaExceeded(Forbidden):
    """A limit would be passed.

    Parameters
    ----------
    resource
        What is limited, ``"containers"``.
    limit, used, requested
        In the resource's own unit.
    by
        Names of what uses it, some of them where they are many.
    """

    def __init__(
        self,
        resource: str,
        limit: float,
        used: float,
        message: str = "",
        *,
        requested: float = 1,
        by: Iterable[str] = (),
    ) -> None:
        super().__init__(
            message or f"Your limit of {limit:g} {resource} is reached: {used:g} are in use.",
            details={
                "resource": resource,
                "limit": limit,
                "used": used,
                "requested": requested,
                "by": list(by),
            },
        )


class NotFound(PlatformError):
    """Nothing of this name exists for the caller (somebody else's thing looks the same)."""

    status = 404
    code = "NOT_FOUND"
    grpc = "NOT_FOUND"

    def __init__(self, kind: str, name: object, message: str = "") -> None:
        super().__init__(message or f"No {kind} goes by {name!r}.", details={kind: str(name)})
        self.kind = kind
        self.name = str(name)


class MethodNotAllowed(PlatformError):
    """The path exists, not with this method."""

    status = 405
    code = "METHOD_NOT_ALLOWED"
    grpc = "UNIMPLEMENTED"

    def __init__(self, method: str, allowed: Iterable[str]) -> None:
        self.allowed = sorted(allowed)
        super().__init__(
            f"{method} is not possible here, only {', '.join(self.allowed)}.",
            details={"allowed": self.allowed},
        )


class Conflict(PlatformError):
    """The state of things forbids it: a name or port is taken, something is still in use."""

    status = 409
    code = "CONFLICT"
    grpc = "ALREADY_EXISTS"

    def __init__(
        self,
        kind: str,
        name: object,
        message: str = "",
        *,
        fields: Mapping[str, str] | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(
            message or f"The {kind} {name!r} exists already.",
            fields=fields,
            details={kind: str(name), **(details or {})},
        )
        self.kind = kind
        self.name = str(name)


class TooLarge(PlatformError):
    """A body is longer than its route takes.

    Parameters
    ----------
    limit
        Bytes.
    """

    status = 413
    code = "PAYLOAD_TOO_LARGE"
    grpc = "RESOURCE_EXHAUSTED"

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"The body is longer than the {limit} bytes that this route takes.",
            details={"limit": limit},
        )


class RateLimited(PlatformError):
    """Too many requests in too short a time.

    Parameters
    ----------
    retry_after
        Seconds until the next one passes.
    """

    status = 429
    code = "RATE_LIMITED"
    grpc = "RESOURCE_EXHAUSTED"

    def __init__(self, retry_after: float, message: str = "") -> None:
        super().__init__(
            message or f"Too many requests. Try again in {max(1, round(retry_after))} s.",
            details={"retry_after": max(1, round(retry_after))},
        )
        self.retry_after = retry_after


class Unavailable(PlatformError):
    """Something that this needs is missing or does not answer.

    Parameters
    ----------
    what
        What is missing, as a sentence.
    cure
        What to do now.
    """

    status = 503
    code = "UNAVAILABLE"
    grpc = "UNAVAILABLE"

    def __init__(self, what: str, cure: str = "") -> None:
        super().__init__(f"{what} {cure}".strip(), details={"what": what, "cure": cure})
        self.what = what
        self.cure = cure


class Away(Unavailable):
    """What this needs does not answer, and may at any moment; what became of a call is unknown."""


def error_for_status(status: int) -> type[PlatformError]:
    """Return the class of an HTTP status, for edges that receive one."""
    known: dict[int, type[PlatformError]] = {
        cls.status: cls
        for cls in (
            InvalidRequest,
            Unauthenticated,
            Forbidden,
            NotFound,
            MethodNotAllowed,
            Conflict,
            TooLarge,
            RateLimited,
            Unavailable,
        )
    }
    return known.get(status, PlatformError)
