"""Bodies become typed rows: in one pass when they are right, value by value otherwise, and both agree."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from everloop.serve.block import Block
from everloop.serve.problems import Refused
from everloop.serve.reading.checks import compile_suite
from everloop.serve.reading.rows import RowReader, decode
from serve.world import PLAN, SUITE, row

NOW = datetime(2013, 4, 1, 12, tzinfo=UTC)
READER = RowReader(PLAN.request, compile_suite(json.dumps(SUITE).encode(), PLAN.request))


def slowly(body: bytes, maximum: int = 10) -> tuple[Block, bool] | Refused:
    """The reading by value alone."""
    reader = RowReader(PLAN.request, compile_suite(json.dumps(SUITE).encode(), PLAN.request))
    reader._one = type("Never", (), {"read": lambda *_: None})()  # type: ignore[assignment]
    try:
        return reader.body(body, maximum, NOW)
    except Refused as refused:
        return refused


def told(found: tuple[Block, bool] | Refused) -> Any:
    """What can be compared: types count, since 1 equals 1.0 and True."""
    if isinstance(found, Refused):
        return found.status, found.body()
    block, explain = found
    return repr((block.keys, block.as_of, block.request, block.flags, explain))


def quickly(body: bytes, maximum: int = 10) -> tuple[Block, bool] | Refused:
    try:
        return READER.body(body, maximum, NOW)
    except Refused as refused:
        return refused


MOMENTS = st.one_of(
    st.datetimes().map(lambda at: at.isoformat() + "Z"),
    st.datetimes().map(lambda at: at.isoformat() + "+05:30"),
    st.sampled_from(["2013-04-01", "noon", "2013-04-01T12:00:00", "2013-04-01T12:00:00.123456789Z", "0001-01-01T00:00:00+14:00"]),
)
VALUES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(), MOMENTS)
ROWS = st.fixed_dictionaries(
    {},
    optional={
        "key": st.one_of(st.text(min_size=1), VALUES),
        "event_timestamp": st.one_of(MOMENTS, VALUES),
        "carrier": st.one_of(st.sampled_from(["AA", "UA", "a\0b"]), VALUES),
        "origin": st.one_of(st.sampled_from(["JFK", "jfk"]), VALUES),
        "departs": st.one_of(MOMENTS, VALUES),
        "distance": st.one_of(st.floats(0, 9000), st.integers(0, 9000), VALUES),
        "flight": st.one_of(st.integers(0, 3), st.just(2.0), st.just(2**63), VALUES),
        "wheels": VALUES,
        "explain": VALUES,
    },
)
BODIES = st.one_of(ROWS, st.fixed_dictionaries({"rows": st.lists(ROWS, max_size=3)}, optional={"explain": VALUES, "key": VALUES}))


@given(BODIES)
@example({**row(), "departs": "0001-01-01T00:00:00+14:00"})
@example({**row(), "carrier": "\0"})
@example({"rows": [row()], "key": "beside the rows"})
@settings(max_examples=500)
def test_one_pass_and_reading_by_value_agree(body: dict[str, Any]) -> None:
    sent = json.dumps(body).encode()
    assert told(quickly(sent)) == told(slowly(sent))


def test_a_right_body_is_read_in_one_pass_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("everloop.serve.reading.rows.decode", lambda _: pytest.fail("read by value"))
    for body in (row(), {"rows": [row("a"), row("b", flight=7)], "explain": True}):
        block, explain = READER.body(json.dumps(body).encode(), 10, NOW)
        assert len(block) == len(body.get("rows", [body]))
        assert explain is ("rows" in body)
    assert block.flags == [(), ("warn:flight:expect_column_values_to_be_in_set",)]


def test_more_rows_than_allowed_are_refused_with_413() -> None:
    refused = quickly(msgspec.json.encode({"rows": [row()] * 3}), maximum=2)
    assert isinstance(refused, Refused)
    assert refused.status == 413


@pytest.mark.parametrize("body", [b"", b"[]", b'"x"', b"{", b"\xff", b"[" * 100_000, b'{"key": NaN}'])
def test_what_is_no_json_object_is_refused_with_400(body: bytes) -> None:
    refused = quickly(body)
    assert isinstance(refused, Refused)
    assert (refused.status, refused.problems[0].field) == (400, "body")


def test_numbers_too_large_for_their_type_are_refused_by_name() -> None:
    body = decode(json.dumps(row()).encode()) | {"flight": 2**64, "distance": "far"}
    refused = quickly(json.dumps(body).encode())
    assert isinstance(refused, Refused)
    assert {problem.field for problem in refused.problems} == {"flight", "distance"}
