"""Request bodies: JSON in, typed rows out; all problems of all rows together.

A body that is right, which is nearly every one, is decoded and typed in one pass of msgspec. Any other is read again value by
value, to say of each what is wrong with it. What the one pass takes, the reading by value takes too, with the same values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from everloop.serve.block import Block
from everloop.serve.problems import Problem, Refused, refuse
from everloop.serve.reading.checks import FieldCheck
from everloop.serve.reading.values import KINDS, convert

KEY, AS_OF, EXPLAIN, ROWS = "key", "event_timestamp", "explain", "rows"

_ESCAPED_NUL = rb"\u0000"


def decode(body: bytes) -> dict[str, Any]:
    """A JSON object; anything else is refused with 400."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
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


class RowReader:
    """Reads the rows of one release: types by its plan, rules by its request suite."""

    def __init__(self, fields: Mapping[str, str], checks: Sequence[FieldCheck]) -> None:
        self.fields = dict(fields)
        self._known = frozenset(fields) | {KEY, AS_OF}
        self.checks = tuple(checks)
        self._one = _OnePass(fields, checks)

    def body(self, body: bytes, maximum: int, now: datetime) -> tuple[Block, bool]:
        """The rows of a score request, one or `{"rows": [...]}`, and whether they are to be explained. Raises `Refused`."""
        if (found := self._one.read(body, maximum, now)) is not None:
            return found
        raw = decode(body)
        explain = raw.pop(EXPLAIN, None) is True
        if ROWS in raw:
            return self.rows(listed(raw, ROWS, maximum), "rows[{}].", now), explain
        return self.rows([raw], "", now), explain

    def rows(self, raw: Sequence[Mapping[str, Any]], path: str, now: datetime) -> Block:
        """Typed rows; `Refused` (422) with every problem of every row. `path` holds one `{}` for the row's position."""
        problems: list[Problem] = []
        as_of: list[datetime] = []
        block = Block([], as_of, {name: [] for name in self.fields}, [])
        for position, values in enumerate(raw):
            found: list[Problem] = []
            as_of.append(convert(values, AS_OF, "timestamp", found) or now)
            self._row(values, found, block)
            problems += [problem.inside(path.format(position)) for problem in found]
        if problems:
            raise Refused(422, problems)
        return block

    def _row(self, values: Mapping[str, Any], problems: list[Problem], block: Block) -> None:
        problems += [
            Problem(name, values[name], "is not a field of this request", f"send only {', '.join(sorted(self._known))}")
            for name in values
            if name not in self._known
        ]
        key = convert(values, KEY, "string", problems)
        if not key and not any(problem.field == KEY for problem in problems):
            problems.append(Problem(KEY, key, "must be given and not empty", "send the name under which the outcome will come"))
        block.keys.append(key or "")
        request = {name: convert(values, name, kind, problems) for name, kind in self.fields.items()}
        for name, value in request.items():
            block.request[name].append(value)
        block.flags.append(self._check(request, problems))

    def _check(self, request: Mapping[str, Any], problems: list[Problem]) -> tuple[str, ...]:
        mistyped = {problem.field for problem in problems}
        flags = []
        for check in self.checks:
            if check.field in mistyped or check.holds(request[check.field]):
                continue
            if check.refuses:
                problems.append(
                    Problem(check.field, request[check.field], check.rule, "correct the value and send the row again")
                )
            else:
                flags.append(check.flag)
        return tuple(flags)


class _OnePass:
    """Reads what is right in every way, at once; says `None` of all else."""

    def __init__(self, fields: Mapping[str, str], checks: Sequence[FieldCheck]) -> None:
        # Under names of its own, since a field may be called what Python cannot call it.
        columns = {KEY: "string", AS_OF: "timestamp", **fields}
        row = [
            (f"f{n}", KINDS[kind] | None, msgspec.field(name=name, default=None))
            for n, (name, kind) in enumerate(columns.items())
        ]
        flags: dict[str, Any] = {"frozen": True, "forbid_unknown_fields": True, "gc": False}
        of_rows = msgspec.defstruct("Row", row, **flags)
        rest = [("explain", bool, False), ("rows", list[of_rows] | None, None)]  # type: ignore[valid-type]
        self._decode = msgspec.json.Decoder(msgspec.defstruct("Body", [*row, *rest], **flags)).decode
        self._names = tuple(fields)
        self._checks = [(self._names.index(check.field), check) for check in checks]
        self._times = [n for n, kind in enumerate(columns.values()) if kind == "timestamp"]

    def read(self, body: bytes, maximum: int, now: datetime) -> tuple[Block, bool] | None:
        """The rows, and whether they are to be explained; `None` when anything at all needs a second look."""
        if _ESCAPED_NUL in body:
            return None
        try:
            *one, explain, rows = msgspec.structs.astuple(self._decode(body))
            if rows is None:
                block = self._block([[value] for value in one], now)
            elif not 0 < len(rows) <= maximum or any(value is not None for value in one):
                return None
            else:
                block = self._block(list(map(list, zip(*map(msgspec.structs.astuple, rows), strict=True))), now)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, OverflowError):
            return None
        return None if block is None else (block, explain)

    def _block(self, given: list[list[Any]], now: datetime) -> Block | None:
        keys, as_of, *columns = given
        if not all(keys):
            return None
        for position in self._times:
            _to_utc(as_of if position == 1 else columns[position - 2])
        block = Block(keys, [moment or now for moment in as_of], dict(zip(self._names, columns, strict=True)), [()] * len(keys))
        return block if self._holds(columns, block.flags) else None

    def _holds(self, columns: Sequence[list[Any]], flags: list[tuple[str, ...]]) -> bool:
        """Whether no row is refused; notes the flags of those that only warn."""
        for position, check in self._checks:
            for row, value in enumerate(columns[position]):
                if not check.holds(value):
                    if check.refuses:
                        return False
                    flags[row] += (check.flag,)
        return True


def _to_utc(moments: list[datetime | None]) -> None:
    for row, moment in enumerate(moments):
        if moment is not None and moment.tzinfo is not UTC:
            moments[row] = moment.astimezone(UTC)
