"""Request bodies: JSON in, typed rows out; all problems of all rows together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from everloop.serve.checks import FieldCheck
from everloop.serve.problems import Problem, Refused, refuse

KEY, AS_OF, EXPLAIN, ROWS = "key", "event_timestamp", "explain", "rows"

_INT64 = 2**63


@dataclass(frozen=True, slots=True)
class Row:
    """One row to score: its key, the moment it is asked for, the request's fields, flags of checks that only warn."""

    key: str
    as_of: datetime
    request: dict[str, Any]
    flags: tuple[str, ...]


def decode(body: bytes) -> dict[str, Any]:
    """A JSON object; anything else is refused with 400."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise refuse(400, "body", body[:80].decode(errors="replace"), f"must be JSON: {error}", "send a JSON object") from None
    if not isinstance(value, dict):
        raise refuse(400, "body", type(value).__name__, "must be a JSON object", 'send one row, or {"rows": [...]}')
    return value


def listed(body: Mapping[str, Any], field: str, maximum: int, may_be_empty: bool = False) -> list[dict[str, Any]]:
    """The list of objects under `field`, at most `maximum` of them."""
    rows = body.get(field)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise refuse(400, field, type(rows).__name__, "must be a list of objects", f'send {{"{field}": [{{...}}, ...]}}')
    if not rows and not may_be_empty:
        raise refuse(422, field, 0, "must hold at least one row", "leave the request out when there is nothing to send")
    if len(rows) > maximum:
        raise refuse(413, field, len(rows), f"must hold at most {maximum} rows", "send several smaller requests")
    return rows


def score_rows(body: Mapping[str, Any], maximum: int) -> tuple[list[dict[str, Any]], str]:
    """The rows of a score request, which is one row or `{"rows": [...]}`, and the path that names them in errors."""
    if ROWS in body:
        return listed(body, ROWS, maximum), "rows[{}]."
    return [{name: value for name, value in body.items() if name != EXPLAIN}], ""


class RowReader:
    """Reads rows of one release: types by its plan, rules by its request suite."""

    def __init__(self, fields: Mapping[str, str], checks: Sequence[FieldCheck]) -> None:
        self._fields = tuple((name, *TYPES[kind]) for name, kind in fields.items())
        self._known = frozenset(fields) | {KEY, AS_OF}
        self._checks = tuple(checks)

    def read(self, raw: Sequence[Mapping[str, Any]], path: str, now: datetime) -> list[Row]:
        """Typed rows; `Refused` (422) with every problem of every row. `path` holds one `{}` for the row's position."""
        rows, problems = [], []
        for position, values in enumerate(raw):
            found: list[Problem] = []
            rows.append(self._row(values, now, found))
            problems += [problem.inside(path.format(position)) for problem in found]
        if problems:
            raise Refused(422, problems)
        return rows

    def _row(self, values: Mapping[str, Any], now: datetime, problems: list[Problem]) -> Row:
        problems += [
            Problem(name, values[name], "is not a field of this request", f"send only {', '.join(sorted(self._known))}")
            for name in values
            if name not in self._known
        ]
        key = _typed(values, KEY, _text, "text", problems)
        if not key and not problems:
            problems.append(Problem(KEY, key, "must be given and not empty", "send the name under which the outcome will come"))
        as_of = _typed(values, AS_OF, _moment, "ISO 8601 time with an offset", problems) or now
        request = {name: _typed(values, name, convert, words, problems) for name, convert, words in self._fields}
        return Row(key or "", as_of, request, self._check(request, problems))

    def _check(self, request: Mapping[str, Any], problems: list[Problem]) -> tuple[str, ...]:
        mistyped = {problem.field for problem in problems}
        flags = []
        for check in self._checks:
            if check.field in mistyped or check.holds(request[check.field]):
                continue
            if check.refuses:
                problems.append(
                    Problem(check.field, request[check.field], check.rule, "correct the value and send the row again")
                )
            else:
                flags.append(f"warn:{check.field}:{check.expectation}")
        return tuple(flags)


def _typed(values: Mapping[str, Any], name: str, convert: Callable[[Any], Any], words: str, problems: list[Problem]) -> Any:
    """The converted value, `None` when absent or null; an unconvertible one becomes a problem."""
    value = values.get(name)
    if value is None:
        return None
    try:
        return convert(value)
    except (ValueError, TypeError, OverflowError):
        problems.append(Problem(name, value, f"must be {words}", f"send {name} as {words}"))
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
    moment = datetime.fromisoformat(value)
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
"""How a column of each type is read from JSON, and what to call that in an error."""
