"""What a client of the event socket sends."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..errors import InvalidRequest
from .parsing import parse_json
from .route import Json


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, understood or not.

    Parameters
    ----------
    id
        What its reply repeats.
    problem
        Why it can't be understood.
    """

    id: Json = None
    kind: str = ""
    data: dict[str, Json] = field(default_factory=dict)
    problem: InvalidRequest | None = None

    @classmethod
    def read(cls, message: str | bytes) -> Asked:
        """Read a frame; one that is half understood has its id."""
        try:
            frame = parse_json(message.encode() if isinstance(message, str) else message)
        except InvalidRequest as error:
            return cls(problem=error)
        known = frame if isinstance(frame, dict) else {}
        ident, kind, data = known.get("id"), known.get("type"), known.get("data")
        if not isinstance(kind, str):
            problem = InvalidRequest(fields={"type": "is needed: {type, data, id?}"})
            return cls(ident, problem=problem)
        if data is not None and not isinstance(data, dict):
            return cls(ident, kind, problem=InvalidRequest(fields={"data": "must be an object"}))
        return cls(ident, kind, data or {})
