"""One value of a request: how a column of each type is read from JSON, and what is said of one that cannot be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from msgspec import Meta, ValidationError
from msgspec import convert as convert_to

from everloop.serve.problems import Problem

_INT64 = 2**63

KINDS: Mapping[str, Any] = {
    "string": str,
    "int": Annotated[int, Meta(ge=-_INT64, le=_INT64 - 1)],
    "float": float,
    "bool": bool,
    "timestamp": Annotated[datetime, Meta(tz=True)],
}
"""The same types as msgspec checks them while it decodes."""


def convert(values: Mapping[str, Any], name: str, kind: str, problems: list[Problem]) -> Any:
    """The typed value, `None` when absent or null; one that does not fit becomes a problem."""
    value = values.get(name)
    return None if value is None else typed(value, kind, name, problems)


def typed(value: Any, kind: str, field: str, problems: list[Problem]) -> Any:
    """The typed value; one that does not fit, null among them, becomes a problem of `field` and is `None`."""
    read, words = TYPES[kind]
    try:
        return read(value)
    except (ValueError, TypeError, OverflowError):
        problems.append(Problem(field, value, f"must be {words}", f"send {field} as {words}"))
        return None


def _text(value: Any) -> str:
    # PostgreSQL's text holds no NUL, so neither the log nor a join key could.
    if not isinstance(value, str) or "\0" in value:
        raise TypeError
    return value


def _integer(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or int(value) != value or not -_INT64 <= value < _INT64:
        raise TypeError
    return int(value)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError
    return float(value)


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _moment(value: Any) -> datetime:
    try:
        moment = convert_to(value, datetime)
    except ValidationError:
        moment = datetime.fromisoformat(value)  # takes some forms more
    if moment.tzinfo is None:
        raise ValueError
    return moment.astimezone(UTC)


TYPES: Mapping[str, tuple[Callable[[Any], Any], str]] = {
    "string": (_text, "text without NUL"),
    "int": (_integer, "a whole number of at most 64 bits"),
    "float": (_number, "a number"),
    "bool": (_boolean, "true or false"),
    "timestamp": (_moment, "an ISO 8601 time with an offset"),
}
"""How a value is read, and what to call that in an error."""
