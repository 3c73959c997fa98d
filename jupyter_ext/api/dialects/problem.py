"""RFC 9457: an error as ``application/problem+json``, on every route whose caller asks for it."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from ...errors import PlatformError
from .base import Outcome

if TYPE_CHECKING:
    from ..route import Json

CONTENT_TYPE = "application/problem+json"


def problem(error: PlatformError, outcome: Outcome, request_id: str) -> Json:
    """Return the members of RFC 9457, section 3; code, fields and request id are extensions."""
    # A dialect may hide a failure behind 200; a problem detail says what it is.
    status = outcome.status if outcome.status >= 400 else error.status
    return {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": error.message,
        "code": outcome.code,
        "errors": [{"field": name, "message": text} for name, text in error.fields.items()],
        "details": error.details,
        "request_id": request_id,
    }
