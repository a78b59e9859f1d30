"""The chain: one text for one value, and every kind of tampering found."""

import hashlib
import json
import math
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum

import numpy as np
import pytest

from everloop.decide.chain import GENESIS, broken, canonical, entry_hash, moment
from everloop.errors import DataError


def test_key_order_does_not_matter():
    assert canonical({"b": 1, "a": {"d": 2, "c": 3}}) == canonical({"a": {"c": 3, "d": 2}, "b": 1}) == '{"a":{"c":3,"d":2},"b":1}'


@pytest.mark.parametrize("value", [0.1, 1e22, -0.0, 1e-7, 5e-324, 1.7976931348623157e308, 2**80, 1 / 3, 3.0])
def test_a_number_reads_back_as_the_same_text(value):
    text = canonical({"x": value})
    assert canonical(json.loads(text)) == text
    assert json.loads(text)["x"] == value


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, np.float32("nan")])
def test_a_number_that_json_cannot_hold_is_refused_with_its_place(value):
    with pytest.raises(DataError, match=r"\$\.gate\.auc\[1\] is .*pass None"):
        canonical({"gate": {"auc": [0.5, value]}})


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (
            datetime(2013, 1, 1),
            "$.evidence is 2013-01-01 00:00:00, which has no time zone: pass an aware datetime, for instance in UTC",
        ),
        ({1: 2}, "$.evidence has the key 1, which is not text: name it by a string"),
        ("a\x00b", "$.evidence is 'a\\x00b': PostgreSQL keeps no NUL character: remove it"),
        ("\ud800", "$.evidence is '\\ud800', which is not valid Unicode (surrogates not allowed): decode it properly"),
        ([b"bytes"], "$.evidence[0] is a bytes, which JSON cannot hold: pass numbers, text, times, lists or mappings"),
        ({"a\x00": 1}, "$.evidence is 'a\\x00': PostgreSQL keeps no NUL character: remove it"),
    ],
)
def test_values_that_jsonb_would_change_or_refuse_are_refused_with_their_place(value, told):
    with pytest.raises(DataError) as raised:
        canonical({"evidence": value})
    assert str(raised.value) == told


def test_the_text_of_every_kind_of_value_is_pinned_since_rows_of_years_ago_are_hashed_by_it():
    value = {"z": None, "yes": True, "no": np.bool_(False), "half": 0.5, "whole": 3.0, "n": 2, "text": "Zoë … ✓", "list": (1, [])}
    text = '{"half":0.5,"list":[1,[]],"n":2,"no":false,"text":"Zoë … ✓","whole":3,"yes":true,"z":null}'
    assert canonical(value) == text
    assert entry_hash(value | {"hash": "left out"}) == hashlib.sha256(text.encode()).hexdigest()


def test_a_time_without_a_zone_is_refused_by_itself_too():
    with pytest.raises(DataError, match=r"^\$ is 2013-01-01 00:00:00, which has no time zone"):
        moment(datetime(2013, 1, 1))


def test_times_are_written_in_utc_wherever_the_machine_stands(monkeypatch):
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        assert moment(datetime(2013, 1, 1, tzinfo=UTC)) == "2013-01-01T00:00:00+00:00"
    finally:
        monkeypatch.undo()
        time.tzset()


def test_times_are_written_in_utc():
    local = datetime(2013, 1, 1, 2, tzinfo=timezone(timedelta(hours=2)))
    assert canonical(local) == canonical(datetime(2013, 1, 1, tzinfo=UTC)) == '"2013-01-01T00:00:00+00:00"'


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True)
class Point:
    x: float
    colour: Colour


def test_dataclasses_enums_durations_and_numpy_values_are_written_plainly():
    value = {
        "p": Point(1.5, Colour.RED),
        "n": np.int64(3),
        "b": np.bool_(True),
        "a": np.array([1.0, 2.5]),
        "t": timedelta(minutes=2),
    }
    assert json.loads(canonical(value)) == {"p": {"x": 1.5, "colour": "red"}, "n": 3, "b": True, "a": [1, 2.5], "t": 120}


def chain(length: int) -> list[dict]:
    rows, previous = [], GENESIS
    for seq in range(1, length + 1):
        row = {
            "use_case": "flights",
            "seq": seq,
            "at": datetime(2013, 1, seq, tzinfo=UTC),
            "reason": f"r{seq}",
            "previous_hash": previous,
        }
        previous = entry_hash(row)
        rows.append(row | {"hash": previous})
    return rows


def test_an_intact_chain_has_nothing_to_report():
    assert broken([]) is None
    assert broken(chain(5)) is None


def test_a_changed_row_is_named():
    rows = chain(5)
    rows[2]["reason"] = "better"
    assert broken(rows) == (
        f"row 3 of flights was changed: its content has hash {entry_hash(rows[2])[:16]}…, "
        f"it was written with {rows[2]['hash'][:16]}…"
    )


def test_a_changed_row_with_a_new_hash_breaks_the_row_after_it():
    rows = chain(5)
    rows[2]["reason"] = "better"
    rows[2]["hash"] = entry_hash(rows[2])
    assert broken(rows) == (
        f"row 4 of flights follows hash {rows[3]['previous_hash'][:16]}…, the row before it has {rows[2]['hash'][:16]}…"
    )


@pytest.mark.parametrize("remove", [0, 2])
def test_a_removed_row_is_found(remove):
    rows = chain(5)
    del rows[remove]
    assert "rows are missing or out of order" in broken(rows)


def test_swapped_rows_are_found():
    rows = chain(5)
    rows[1], rows[2] = rows[2], rows[1]
    assert "out of order" in broken(rows)
