"""The row-level expectations of a release's request suite, as plain Python predicates.

Expectations of a whole batch (row counts, means, uniqueness, distributions) say nothing of one row: they are left to the batch.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any

import msgspec

from everloop.errors import ConfigurationError

Predicate = Callable[[Any], bool]

_ROW_LEVEL = ("expect_column_values_to_", "expect_column_value_lengths_to_", "expect_column_pair_values_")
_OF_THE_BATCH = frozenset(
    {
        "expect_column_values_to_be_unique",
        "expect_column_values_to_be_increasing",
        "expect_column_values_to_be_decreasing",
    }
)
_OF_THE_TYPE = frozenset({"expect_column_values_to_be_of_type", "expect_column_values_to_be_in_type_list"})


class Proof(Enum):
    """Which of a column's values, nulls aside, have to hold for all to."""

    ANY_ONE = "the rule is of nulls alone"
    ENDS = "what lies between two values that hold, holds"
    EACH = "each has to"


@dataclass(frozen=True)
class FieldCheck:
    """One expectation of one field. `refuses`: a row that breaks it is refused; otherwise it is answered with a flag."""

    field: str
    expectation: str
    rule: str
    refuses: bool
    holds: Predicate
    proof: Proof = Proof.EACH

    @property
    def flag(self) -> str:
        """What a row earns that breaks it and is answered nevertheless."""
        return f"warn:{self.field}:{self.expectation}"


class Expectation(msgspec.Struct, frozen=True, kw_only=True):
    """An expectation as a suite's JSON spells it."""

    type: str
    kwargs: dict[str, Any] = {}
    meta: dict[str, Any] | None = None
    severity: str | None = None

    @property
    def level(self) -> str:
        """`block`, `quarantine` or `warn`: the suite's own word in `meta`, else what Great Expectations' severity amounts to."""
        named = (self.meta or {}).get("severity")
        return str(named or {"info": "warn", "warning": "quarantine"}.get(self.severity or "", "block"))


class Suite(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a suite's JSON that matters here."""

    expectations: list[Expectation]


def compile_suite(text: bytes, fields: Mapping[str, str]) -> tuple[FieldCheck, ...]:
    """The checks that `text` (a suite's JSON) holds for the request's `fields` (name to type).

    Raises `ConfigurationError` with every row-level expectation of a request field that has no counterpart here.
    """
    checks, problems = [], []
    for expectation in msgspec.json.decode(text, type=Suite).expectations:
        if not _concerns(expectation, fields):
            continue
        try:
            checks.append(_compile(expectation, fields))
        except (KeyError, TypeError, ValueError, re.error) as error:
            problems.append(f"  - {expectation.type} on {expectation.kwargs.get('column')}: {error}")
    if problems:
        raise ConfigurationError(
            "The request suite cannot be checked row by row; rewrite these expectations or move them to another column:\n"
            + "\n".join(problems)
        )
    return tuple(checks)


def _concerns(expectation: Expectation, fields: Mapping[str, str]) -> bool:
    if not expectation.type.startswith(_ROW_LEVEL) or expectation.type in _OF_THE_BATCH | _OF_THE_TYPE:
        return False
    return any(expectation.kwargs.get(name) in fields for name in ("column", "column_A", "column_B"))


def _compile(expectation: Expectation, fields: Mapping[str, str]) -> FieldCheck:
    kwargs = expectation.kwargs
    if kwargs.get("row_condition"):
        raise ValueError("row_condition is not supported at request time")
    if expectation.type not in _COMPILERS:
        raise ValueError(f"not supported at request time; supported: {', '.join(sorted(_COMPILERS))}")
    field = kwargs["column"]
    rule, holds = _COMPILERS[expectation.type](kwargs, fields[field])
    # A batch may break an expectation in a share of its rows (`mostly`): then one row alone cannot be refused for it.
    refuses = expectation.level != "warn" and kwargs.get("mostly", 1) == 1
    return FieldCheck(field, expectation.type, rule, refuses, holds, _PROOFS.get(expectation.type, Proof.EACH))


def _limit(value: Any, kind: str) -> Any:
    if kind != "timestamp" or value is None:
        return value
    moment = datetime.fromisoformat(value)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _between(kwargs: Mapping[str, Any], kind: str) -> tuple[str, Predicate]:
    low, high = _limit(kwargs.get("min_value"), kind), _limit(kwargs.get("max_value"), kind)
    strict_low, strict_high = bool(kwargs.get("strict_min")), bool(kwargs.get("strict_max"))
    rule = f"must lie in {'(' if strict_low else '['}{low}, {high}{')' if strict_high else ']'}"

    def holds(value: Any) -> bool:
        if low is not None and (value <= low if strict_low else value < low):
            return False
        return not (high is not None and (value >= high if strict_high else value > high))

    plain = low is not None and high is not None and not strict_low and not strict_high
    if plain:  # nearly every rule is, and each is asked of each request: one call instead of two
        return rule, lambda value: value is None or not (value < low or value > high)
    return rule.replace("None", "any"), _unless_null(holds)


def _lengths(kwargs: Mapping[str, Any], _kind: str) -> tuple[str, Predicate]:
    if "value" in kwargs:
        kwargs = {"min_value": kwargs["value"], "max_value": kwargs["value"]}
    rule, holds = _between(kwargs, "int")
    return rule.replace("must lie", "must have a length"), _unless_null(lambda value: holds(len(value)))


def _in_set(kwargs: Mapping[str, Any], kind: str) -> tuple[str, Predicate]:
    allowed = {_limit(value, kind) for value in kwargs["value_set"]}
    return f"must be one of {sorted(allowed, key=str)}", {*allowed, None}.__contains__


def _not_in_set(kwargs: Mapping[str, Any], kind: str) -> tuple[str, Predicate]:
    refused = {_limit(value, kind) for value in kwargs["value_set"]}
    return f"must not be one of {sorted(refused, key=str)}", _unless_null(lambda value: value not in refused)


def _matches(kwargs: Mapping[str, Any], _kind: str) -> tuple[str, Predicate]:
    pattern = re.compile(kwargs["regex"])
    return f"must match {pattern.pattern}", _unless_null(lambda value: pattern.search(str(value)) is not None)


def _does_not_match(kwargs: Mapping[str, Any], _kind: str) -> tuple[str, Predicate]:
    pattern = re.compile(kwargs["regex"])
    return f"must not match {pattern.pattern}", _unless_null(lambda value: pattern.search(str(value)) is None)


def _not_null(_kwargs: Mapping[str, Any], _kind: str) -> tuple[str, Predicate]:
    return "must be given and not null", lambda value: value is not None


def _null(_kwargs: Mapping[str, Any], _kind: str) -> tuple[str, Predicate]:
    return "must be null", lambda value: value is None


def _unless_null(holds: Predicate) -> Predicate:
    """Great Expectations judges a null by not_be_null alone."""
    return lambda value: value is None or holds(value)


_COMPILERS: dict[str, Callable[[Mapping[str, Any], str], tuple[str, Predicate]]] = {
    "expect_column_values_to_not_be_null": _not_null,
    "expect_column_values_to_be_null": _null,
    "expect_column_values_to_be_between": _between,
    "expect_column_values_to_be_in_set": _in_set,
    "expect_column_values_to_not_be_in_set": _not_in_set,
    "expect_column_values_to_match_regex": _matches,
    "expect_column_values_to_not_match_regex": _does_not_match,
    "expect_column_value_lengths_to_be_between": _lengths,
    "expect_column_value_lengths_to_equal": _lengths,
}

_PROOFS = {
    "expect_column_values_to_not_be_null": Proof.ANY_ONE,
    "expect_column_values_to_be_null": Proof.ANY_ONE,
    "expect_column_values_to_be_between": Proof.ENDS,
}
