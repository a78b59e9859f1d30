"""What the shipper makes of a row's columns is what the row's own record would have shipped."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pyarrow as pa

from everloop.serve.columns.featured import features

AT = datetime(2013, 4, 1, 14, 30, 0, 5, UTC)


def test_fields_and_features_become_one_json_text_a_row() -> None:
    table = pa.table(
        {
            "key": ["a", "b"],
            "request.carrier": pa.array(["AA", None]),
            "request.departs": pa.array([AT, None], pa.timestamp("us", "UTC")),
            "request.flight": pa.array([1, 2**62]),
            "vector.delays__rate": pa.array([0.1, float("nan")]),
        }
    )
    texts = [
        {"request": {"carrier": "AA", "departs": AT, "flight": 1}, "vector": {"delays__rate": 0.1}},
        {"request": {"carrier": None, "departs": None, "flight": 2**62}, "vector": {"delays__rate": float("nan")}},
    ]
    assert features(table).to_pylist() == [msgspec.json.encode(one).decode() for one in texts]


def test_rows_without_any_have_empty_ones() -> None:
    assert features(pa.table({"key": ["a"]})).to_pylist() == ['{"request":{},"vector":{}}']
