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

LONGEST = 366 * 24 * 60
"""Minutes that a rule may say."""


Unit = Literal["", "cores", "bytes", "minutes"]


@dataclass(frozen=True, slots=True)
class Resource:
    """Something that can run out, or how long something may take.

    Parameters
    ----------
    unit
        Of the numbers that go out: empty for a count, ``cores``, ``bytes`` or ``minutes``.
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
    unit: Unit
    parse: Callable[[Any], int]
    words: Callable[[int], str]
    text: Callable[[int], str]
    schema: Mapping[str, Any]
    scale: int = 1

    def number(self, amount: int) -> int | float:
        """Return an amount in the unit that goes out."""
        return amount / self.scale if amount % self.scale else amount // self.scale


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


def _minutes(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        raise ValueError("must be a number of minutes, such as 60")
    if value <= 0:
        raise ValueError("must be more than 0 minutes; null lifts it")
    if value > LONGEST:
        raise ValueError(f"must be at most {LONGEST} minutes, which is a year; null lifts it")
    return max(1, round(value * 60))


def _bounded(amount: int) -> int:
    if amount > LARGEST:
        raise ValueError("is too much; null lifts the limit")
    return amount


def _counted(name: str) -> Resource:
    def words(amount: int) -> str:
        return f"{amount} {name[:-1] if amount == 1 else name}"

    return Resource(name, "", _count, words, str, {"type": "integer", "minimum": 0})


def _sized(name: str, things: str | None = None) -> Resource:
    schema = {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string"}]}

    def words(amount: int) -> str:
        return f"{size_text(amount)} of {things or name}"

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
        _sized("database_size", "databases"),
        _counted("machines"),
    )
}
"""Everything that can be limited, in the order in which it is shown."""


def _lasting(name: str) -> Resource:
    def words(amount: int) -> str:
        return f"{amount / 60:g} min"

    schema = {"type": "number", "exclusiveMinimum": 0, "maximum": LONGEST}
    return Resource(name, "minutes", _minutes, words, words, schema, 60)


RULES: Mapping[str, Resource] = {
    rule.name: rule
    for rule in map(
        _lasting, ("idle_minutes", "idle_warning_minutes", "keep_minutes", "lifetime_minutes")
    )
}
"""How long containers may be idle and run, set as limits are; nothing of them is ever used up."""

RULES_UNSET: Limits = {
    "idle_minutes": None,
    "idle_warning_minutes": 10 * 60,
    "keep_minutes": 24 * 60 * 60,
    "lifetime_minutes": None,
}
"""What counts where nobody has set a rule, in seconds."""

SETTINGS: Mapping[str, Resource] = {**RESOURCES, **RULES}


def unknown_resource() -> str:
    """Return what is wrong with a name that is no resource's."""
    return f"is no resource; there are {', '.join(SETTINGS)}"


def _refuse(value: Any) -> None:
    raise ValueError(unknown_resource())


Limit = int | Literal["default"] | None
"""A limit to be, in the smallest unit."""


def _limit(name: str, description: str | None = None) -> Any:
    choices: list[Any] = [dict(SETTINGS[name].schema), {"const": INHERIT}, {"type": "null"}]
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
    database_size: Limit = _limit(
        "database_size", "Of all databases together; bytes, or a text such as 100GB"
    )
    machines: Limit = _limit("machines")
    idle_minutes: Limit = _limit("idle_minutes", "Without use until a container is stopped")
    idle_warning_minutes: Limit = _limit("idle_warning_minutes", "From the warning to the stop")
    keep_minutes: Limit = _limit("keep_minutes", "That one keep postpones the stop, at most")
    lifetime_minutes: Limit = _limit("lifetime_minutes", "That a container may run at most")

    @field_validator("*", mode="plain")
    @classmethod
    def _parse(cls, value: Any, info: ValidationInfo) -> Limit:
        if value is None:
            return None
        return INHERIT if value == INHERIT else SETTINGS[str(info.field_name)].parse(value)

    def given(self) -> dict[str, Limit]:
        """Return what was asked for: an amount, None or `INHERIT` by resource."""
        return {name: getattr(self, name) for name in SETTINGS if name in self.model_fields_set}


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
    over
        Whether more is used than may be: the limit came later, or things grew.
    """

    unit: Unit
    limit: int | float | None
    used: int | float | None
    limit_text: str | None
    used_text: str | None
    source: Literal["user", "role", "default"] | None
    over: bool = False


class Rule(Model):
    """How long something may take at most; `limit` in minutes, null for ever.

    Parameters
    ----------
    source
        As of a `Quota`.
    """

    limit: int | float | None
    limit_text: str | None
    source: Literal["user", "role", "default"] | None


class QuotaReply(Model):
    """All limits and rules of a user, or of everybody in a role (then `user` is null)."""

    user: str | None
    user_id: str | None
    role: str
    quotas: dict[str, Quota]
    rules: dict[str, Rule]


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
            if name not in SETTINGS:
                raise ValueError(f"{role}: {name!r} {unknown_resource()}")
            try:
                limits[role][name] = None if amount is None else SETTINGS[name].parse(amount)
            except ValueError as error:
                raise ValueError(f"{role}: {name} {error}") from None
    return limits
