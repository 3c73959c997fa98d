"""What can be limited, in which units, and what goes in and out of quotas."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, ConfigDict, Field, ValidationInfo, field_validator

from ..models import Model
from ..units import parse_size, size_text

Amounts = Mapping[str, int]
"""Amounts by resource, each in the resource's smallest unit."""

Limits = Mapping[str, int | None]
"""As `Amounts`; None is no limit."""

INHERIT: Final = "default"
"""Instead of an amount: what would count without a row of one's own."""

EVERYBODY = "*"
"""In the trait: every role but the administrator's that is not named there."""

LARGEST = 1 << 60
"""So that sums stay within what a column holds."""


@dataclass(frozen=True, slots=True)
class Resource:
    """Something that can run out.

    Parameters
    ----------
    unit
        Of the numbers that go out: empty for a count, ``cores`` or ``bytes``.
    parse
        Reads an amount, in the smallest unit; raises `ValueError`.
    words
        Writes an amount into a sentence.
    text
        Writes an amount where it is clear what of.
    scale
        The smallest units in one of `unit`.
    """

    name: str
    unit: Literal["", "cores", "bytes"]
    parse: Callable[[Any], int]
    words: Callable[[int], str]
    text: Callable[[int], str]
    schema: Mapping[str, Any]
    scale: int = 1

    def number(self, amount: int) -> int | float:
        """Return an amount in the unit that goes out."""
        return amount if self.scale == 1 else amount / self.scale


def _count(value: Any) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError("must be a whole number, 0 or more")
    return _bounded(value)


def _cores(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        raise ValueError("must be a number of cores, such as 2 or 0.5")
    if value < 0 or 0 < value < 0.001:
        raise ValueError("must be 0, or 0.001 cores or more")
    # Compared before it is multiplied: what is too much may be more than a number can be.
    return _bounded(round(value * 1000) if value < LARGEST else LARGEST + 1)


def _bytes(value: Any) -> int:
    return _bounded(parse_size(value))


def _bounded(amount: int) -> int:
    if amount > LARGEST:
        raise ValueError("is too much; null lifts the limit")
    return amount


def _counted(name: str) -> Resource:
    def words(amount: int) -> str:
        return f"{amount} {name[:-1] if amount == 1 else name}"

    return Resource(name, "", _count, words, str, {"type": "integer", "minimum": 0})


def _sized(name: str) -> Resource:
    schema = {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string"}]}

    def words(amount: int) -> str:
        return f"{size_text(amount)} of {name}"

    return Resource(name, "bytes", _bytes, words, size_text, schema)


RESOURCES: Mapping[str, Resource] = {
    resource.name: resource
    for resource in (
        _counted("containers"),
        Resource(
            "cpu",
            "cores",
            _cores,
            lambda amount: f"{amount / 1000:g} core{'s' * (amount != 1000)}",
            lambda amount: f"{amount / 1000:g}",
            {"type": "number", "minimum": 0},
            1000,
        ),
        _sized("memory"),
        _sized("disk"),
        _counted("gpus"),
        _counted("databases"),
        _counted("machines"),
    )
}
"""Everything that can be limited, in the order in which it is shown."""


def unknown_resource() -> str:
    """Return what is wrong with a name that is no resource's."""
    return f"is no resource; there are {', '.join(RESOURCES)}"


def _refuse(value: Any) -> None:
    raise ValueError(unknown_resource())


Limit = int | Literal["default"] | None
"""A limit to be, in the smallest unit."""


def _limit(name: str, description: str | None = None) -> Any:
    choices: list[Any] = [dict(RESOURCES[name].schema), {"const": INHERIT}, {"type": "null"}]
    return Field(None, description=description, json_schema_extra={"anyOf": choices})


class QuotaChange(Model):
    """Limits to be: null lifts one, ``default`` gives it back to the role, absent stays."""

    # Not ignored as in other requests: a mistyped one would leave somebody without a limit.
    model_config = ConfigDict(
        defer_build=True, extra="allow", json_schema_extra={"additionalProperties": False}
    )
    __pydantic_extra__: dict[str, Annotated[Any, AfterValidator(_refuse)]]

    containers: Limit = _limit("containers")
    cpu: Limit = _limit("cpu", "Cores")
    memory: Limit = _limit("memory", "Bytes, or a text such as 8GB")
    disk: Limit = _limit("disk", "Bytes, or a text such as 100GB")
    gpus: Limit = _limit("gpus")
    databases: Limit = _limit("databases")
    machines: Limit = _limit("machines")

    @field_validator("*", mode="plain")
    @classmethod
    def _parse(cls, value: Any, info: ValidationInfo) -> Limit:
        if value is None:
            return None
        return INHERIT if value == INHERIT else RESOURCES[str(info.field_name)].parse(value)

    def given(self) -> dict[str, Limit]:
        """Return what was asked for: an amount, None or `INHERIT` by resource."""
        return {name: getattr(self, name) for name in RESOURCES if name in self.model_fields_set}


class Quota(Model):
    """A limit and what is used of it.

    Parameters
    ----------
    limit
        Null without one.
    used
        Null where it is about everybody of a role.
    source
        Who says the limit: the user's own row, the role's, the server's configuration, or nobody.
    """

    unit: Literal["", "cores", "bytes"]
    limit: int | float | None
    used: int | float | None
    limit_text: str | None
    used_text: str | None
    source: Literal["user", "role", "default"] | None


class QuotaReply(Model):
    """All limits of a user, or of everybody in a role (then `user` is null)."""

    user: str | None
    user_id: str | None
    role: str
    quotas: dict[str, Quota]


def parse_defaults(value: Mapping[Any, Any]) -> dict[str, dict[str, int | None]]:
    """Read limits by role, as the configuration gives them.

    Raises
    ------
    ValueError
        Naming what is wrong.
    """
    limits: dict[str, dict[str, int | None]] = {}
    for role, resources in value.items():
        if not isinstance(role, str) or not isinstance(resources, Mapping):
            raise ValueError('must be like {"user": {"containers": 20, "memory": "8GB"}}')
        limits[role] = {}
        for name, amount in resources.items():
            if name not in RESOURCES:
                raise ValueError(f"{role}: {name!r} {unknown_resource()}")
            try:
                limits[role][name] = None if amount is None else RESOURCES[name].parse(amount)
            except ValueError as error:
                raise ValueError(f"{role}: {name} {error}") from None
    return limits
