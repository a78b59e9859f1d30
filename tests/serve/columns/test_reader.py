"""Rows by column and rows in JSON: the same are accepted, flagged and refused, in the same words, and scored alike."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everloop.kinds import ARROW_TYPES
from everloop.serve.block import Block, plain
from everloop.serve.columns.reader import ColumnReader
from everloop.serve.model import ServedModel
from everloop.serve.problems import Refused
from everloop.serve.reading.checks import compile_suite
from everloop.serve.reading.rows import RowReader
from serve.world import AT, COLUMNS, bundle

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FIELDS = {"carrier": "string", "origin": "string", "departs": "timestamp", "distance": "float", "flight": "int", "late": "bool"}
SUITE = {
    "name": "request",
    "expectations": [
        {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "carrier"}},
        {"type": "expect_column_values_to_match_regex", "kwargs": {"column": "origin", "regex": "^[A-Z]{3}$"}},
        {"type": "expect_column_values_to_be_between", "kwargs": {"column": "distance", "min_value": 0, "max_value": 9000}},
        {
            "type": "expect_column_values_to_be_between",
            "kwargs": {"column": "departs", "min_value": "2000-01-01", "strict_min": True},
            "meta": {"severity": "warn"},
        },
        {
            "type": "expect_column_values_to_be_in_set",
            "kwargs": {"column": "flight", "value_set": [1, 2]},
            "meta": {"severity": "warn"},
        },
        {
            "type": "expect_column_values_to_not_be_null",
            "kwargs": {"column": "late"},
            "meta": {"severity": "warn"},
        },
        {
            "type": "expect_column_values_to_be_null",
            "kwargs": {"column": "late"},
            "meta": {"severity": "warn"},
        },
    ],
}
CHECKS = compile_suite(msgspec.json.encode(SUITE), FIELDS)
ROWS = RowReader(FIELDS, CHECKS)
TABLES = ColumnReader(FIELDS, CHECKS, ROWS)

MOMENTS = st.datetimes(datetime(1990, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))
RIGHT = {
    "key": st.text("abc", min_size=1, max_size=3),
    "event_timestamp": st.none() | MOMENTS,
    "carrier": st.sampled_from(["AA", "B6", "ZZ"]),
    "origin": st.none() | st.sampled_from(["JFK", "EWR"]),
    "departs": st.none() | MOMENTS,
    "distance": st.none() | st.floats(0, 9000, width=32) | st.sampled_from([0.0, 9000.0]),
    "flight": st.none() | st.sampled_from([1, 2, 3, -(2**63), 2**63 - 1]),
    "late": st.none() | st.booleans(),
}
WRONG = {
    "key": st.sampled_from([None, "", "a\0"]),
    "carrier": st.sampled_from([None, "\0"]),
    "origin": st.sampled_from(["jfk", "", "JFK\n"]),
    "distance": st.sampled_from([-0.001, 9000.5, 1e300]),
}


@st.composite
def requests(draw: st.DrawFn) -> list[dict[str, Any]]:
    """More rows than are read one by one: a few that are drawn, over and over, and perhaps some wrong values among them."""
    few = draw(st.lists(st.fixed_dictionaries(RIGHT), min_size=1, max_size=8))
    rows = [dict(few[n % len(few)]) for n in range(70)]
    for name in draw(st.lists(st.sampled_from(sorted(WRONG)), max_size=2)):
        rows[draw(st.integers(0, 69))][name] = draw(WRONG[name])
    return rows


def table(rows: list[dict[str, Any]], **kinds: pa.DataType) -> pa.Table:
    usual = {"key": pa.string(), "event_timestamp": ARROW_TYPES["timestamp"]} | {
        name: ARROW_TYPES[kind] for name, kind in FIELDS.items()
    }
    return pa.table({name: pa.array([row.get(name) for row in rows], kinds.get(name, usual[name])) for name in usual})


def said(read: Any) -> Any:
    """What a reader makes of rows: all that a block holds as plain values, or every problem."""
    try:
        block: Block = read()
    except Refused as refused:
        return refused.status, refused.problems
    fields = {name: plain(column) for name, column in block.request.items()}
    return list(block.keys), list(block.as_of), fields, block.flags


def by_column(rows: pa.Table) -> Any:
    return said(lambda: TABLES.block(rows, NOW, 10**6))


def in_json(rows: list[dict[str, Any]]) -> Any:
    return said(lambda: ROWS.body(msgspec.json.encode({"rows": rows}), 10**4, NOW)[0])


@given(requests())
@settings(deadline=None, max_examples=150)
def test_both_forms_accept_flag_and_refuse_the_same_rows_with_the_same_problems(rows: list[dict[str, Any]]) -> None:
    assert by_column(table(rows)) == in_json(rows)


def right(count: int = 100, **changes: Any) -> list[dict[str, Any]]:
    row = {"carrier": "AA", "origin": "JFK", "departs": AT, "distance": 300.0, "flight": 1, "late": True}
    return [{"key": f"k{n}", "event_timestamp": AT + timedelta(seconds=n), **row, **changes} for n in range(count)]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("carrier", pa.large_string()),
        ("carrier", pa.string_view()),
        ("carrier", pa.dictionary(pa.int8(), pa.string())),
        ("key", pa.large_string()),
        ("distance", pa.float32()),
        ("distance", pa.int16()),
        ("flight", pa.uint64()),
        ("flight", pa.float64()),
        ("departs", pa.timestamp("ns", "America/New_York")),
        ("departs", pa.timestamp("s", "UTC")),
    ],
)
def test_other_types_of_a_field_become_its_own_without_a_look_at_each_row(name: str, kind: pa.DataType) -> None:
    rows = right()
    found = TABLES.block(table(rows, **{name: kind}), NOW, 10**6)
    assert isinstance(found.request["carrier"], pa.Array)
    assert said(lambda: found) == in_json(rows)


def test_nan_is_missing_and_infinity_no_number() -> None:
    rows = right(distance=float("nan"))
    assert plain(TABLES.block(table(rows), NOW, 10**6).request["distance"]) == [None] * 100
    rows[7]["distance"] = float("inf")
    status, problems = by_column(table(rows))
    assert (status, [(problem.field, problem.rule) for problem in problems]) == (422, [("rows[7].distance", "must be a number")])


def test_values_that_do_not_fit_are_told_row_by_row() -> None:
    rows = right(80)
    wrong = table(rows, flight=pa.float64()).set_column(0, "key", pa.array([f"k{n}" for n in range(80)]))
    flights = [1.0] * 80
    flights[3] = 1.5
    wrong = wrong.set_column(wrong.column_names.index("flight"), "flight", pa.array(flights))
    wrong = wrong.set_column(wrong.column_names.index("late"), "late", pa.array([1] * 79 + [None]))
    _, problems = by_column(wrong)
    assert [problem.field for problem in problems if "flight" in problem.field] == ["rows[3].flight"]
    assert sum("late" in problem.field for problem in problems) == 79


def test_a_moment_without_zone_or_beyond_the_calendar_is_refused() -> None:
    naive = table(right()).set_column(1, "event_timestamp", pa.array([datetime(2013, 1, 1)] * 100, pa.timestamp("us")))
    assert by_column(naive)[1][0].field == "rows[0].event_timestamp"
    beyond = pa.array([2**62] * 100).view(ARROW_TYPES["timestamp"])
    assert len(by_column(table(right()).set_column(1, "event_timestamp", beyond))[1]) == 100


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view()])
def test_moments_in_text_are_read_without_a_look_at_each_row(kind: pa.DataType) -> None:
    written = ["2013-02-28T23:59:59Z", None, "2013-03-01T00:00:00.25+05:30", "2013-02-28T23:59:59.123456-10:00"]
    rows = [row | {"departs": written[n % 4]} for n, row in enumerate(right())]
    found = TABLES.block(table(rows, departs=kind), NOW, 10**6)
    assert isinstance(found.request["departs"], pa.Array)
    assert said(lambda: found) == in_json(rows)


ODD_MOMENTS = [
    *("2013-02-30T00:00:00Z", "2013-02-28T24:00:00Z", "2013-02-28T23:59:60Z", "2013-02-28T23:59:59+24:00", "2013-02-28"),
    *("0001-01-01T00:00:00+10:00", "9999-12-31T23:59:59-10:00", "0000-01-01T00:00:00Z", "1900-02-29T00:00:00Z", ""),
    *("2013-02-28T23:59:59", "2013-02-28 23:59:59Z", "2013-02-28T23:59:59z", "2013-02-28T23:59:59.1234567Z", "20130228T235959Z"),
    *("2013-02-28T23:59:59+0530", "2013-02-28T23:59:59Z\n", "2013-02-28T23:59:59-23:59", "2013-02-28T23:59:59+05:60", "noon"),
]


@given(
    st.lists(st.sampled_from(ODD_MOMENTS) | st.from_regex(r"\d{4}-[01]\d-[0-3]\dT\d\d:\d\d:\d\d[Z+]", fullmatch=True), max_size=3)
)
@settings(deadline=None, max_examples=150)
def test_odd_moments_in_text_are_taken_or_refused_as_in_json(odd: list[str]) -> None:
    rows = right()
    for place, written in enumerate(odd):
        rows[place]["departs"] = written
    usual = [
        row | {"departs": row["departs"].isoformat() if isinstance(row["departs"], datetime) else row["departs"]} for row in rows
    ]
    assert by_column(table(usual, departs=pa.string())) == in_json(usual)


def test_columns_that_cannot_be_are_told_together() -> None:
    rows = table(right()).append_column("rain", pa.array([1] * 100)).append_column("carrier", pa.array(["x"] * 100))
    rows = rows.set_column(rows.column_names.index("departs"), "departs", pa.array([[1]] * 100))
    status, problems = by_column(rows)
    assert status == 422
    assert {problem.field for problem in problems} == {"rain", "carrier", "departs"}


def test_a_text_that_many_rows_point_at_counts_as_often() -> None:
    rows = table(right(carrier="A" * 2_000), carrier=pa.dictionary(pa.int8(), pa.string()))
    with pytest.raises(Refused) as refused:
        TABLES.block(rows, NOW, 100_000)
    assert refused.value.status == 413


def test_scores_by_column_are_those_by_row_bit_by_bit() -> None:
    model = ServedModel(bundle(), "xgboost")
    random = np.random.default_rng(1)
    rows = [
        row | {"carrier": str(carrier), "distance": float(distance)}
        for row, carrier, distance in zip(
            right(500), random.choice(["AA", "B6", "ZZ"], 500), random.uniform(0, 9000, 500), strict=True
        )
    ]
    absent = {name: [None] * 500 for name in COLUMNS[2:]}
    columns = TABLES.block(table(rows), NOW, 10**6)
    lists = ROWS.rows(rows, "{}", NOW)
    one, two = (model.encode({**block.request, **absent}, 500) for block in (columns, lists))
    assert one.unknown == two.unknown
    assert one.matrix.tobytes() == two.matrix.tobytes()
    assert model.score(one.matrix).tobytes() == model.score(two.matrix).tobytes()
