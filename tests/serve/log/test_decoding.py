"""Frames as lines of COPY: the same rows, whatever form they were logged in and whatever text they hold."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.serve.log.decoding import Row, answered_at, array, day_of, escape, shipment
from everloop.serve.log.frames import rows, scan, shadows
from everloop.serve.log.record import Record
from serve.log.records import NOW, as_columns, record, shadow

TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)


def unescape(value: str) -> str | None:
    """As PostgreSQL reads a value of COPY in text format (https://www.postgresql.org/docs/current/sql-copy.html)."""
    if value == "\\N":
        return None
    marks = {"t": "\t", "n": "\n", "r": "\r", "\\": "\\"}
    out, rest = [], iter(value)
    out.extend(marks[next(rest)] if one == "\\" else one for one in rest)
    return "".join(out)


def lines(content: bytes) -> list[list[str | None]]:
    text = shipment(scan(content).frames).text.decode()
    assert text.endswith("\n")
    return [[unescape(value) for value in line.split("\t")] for line in text[:-1].split("\n")]


def test_the_stored_form_of_a_row_has_the_columns_of_a_record() -> None:
    assert Row.__struct_fields__ == Record.__struct_fields__


@given(TEXTS, TEXTS, st.one_of(st.none(), TEXTS), st.lists(TEXTS, max_size=3))
def test_every_text_comes_through_as_rows_and_as_columns(key: str, entity: str, error: str | None, flags: list[str]) -> None:
    one = record(1, key=key, entity=entity, error=error, rollout=error, flags=flags, features={"request": {key: entity}})
    for content in (rows([one]), as_columns([one])):
        (line,) = lines(content)
        assert (line[3], line[4], line[16], line[8]) == (key, entity, error, error)
        assert json.loads(line[14] or "") == {"request": {key: entity}}
        assert unescape(array(tuple(flags))) == line[15]


@given(TEXTS)
def test_an_escaped_text_is_one_value_of_one_line(text: str) -> None:
    assert not set("\t\n\r") & set(escape(text))
    assert unescape(escape(text)) == text


def test_white_space_between_the_parts_of_a_features_text_breaks_no_line() -> None:
    content = rows([record(1, features={"a": 1})]).replace(b'{"a":1}', b'{\n\t"a":1}')
    line = shipment([scan(rows([record(1)])).frames[0]._replace(payload=memoryview(content[9:]))]).text
    assert line.count(b"\n") == 1
    assert line.count(b"\t") == len(Record.__struct_fields__) - 1


def test_a_shadow_is_taken_by_its_row_wherever_in_the_chunk_they_stand() -> None:
    content = shadows([shadow(2), shadow(9)]) + rows([record(1), record(2)]) + as_columns([record(3)]) + shadows([shadow(3)])
    made = shipment(scan(content).frames)
    values = [line.split(b"\t")[12:14] for line in made.text.splitlines()]
    assert values == [[b"\\N", b"\\N"], [b"b", b"0.75"], [b"b", b"0.75"]]
    assert list(made.shadows) == [("trips", "r00009", 0)]


def test_days_are_told_by_use_case_in_utc() -> None:
    late = NOW + timedelta(hours=23, minutes=59)
    content = rows([record(1, at=late), record(2, use_case="other")]) + as_columns([record(3, at=NOW + timedelta(days=1))])
    days = {("trips", date(2013, 4, 1)), ("other", date(2013, 4, 1)), ("trips", date(2013, 4, 2))}
    assert shipment(scan(content).frames).days == days
    assert day_of("2013-04-01T23:30:00-02:00") == date(2013, 4, 2)


@pytest.mark.parametrize("content", [rows([record(1)]), as_columns([record(1)]), shadows([shadow(1)])])
def test_a_frame_tells_when_its_first_row_was_answered(content: bytes) -> None:
    assert answered_at(scan(content).frames[0]) == NOW


def test_a_moment_in_another_zone_is_the_same_moment() -> None:
    at = datetime(2013, 4, 2, 1, tzinfo=timezone(timedelta(hours=2)))
    found = shipment(scan(rows([record(1, at=at)])).frames)
    assert found.days == {("trips", at.astimezone(UTC).date())}
