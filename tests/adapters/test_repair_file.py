"""The file that a person edits: it reads back as it was written, and says what does not parse."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from everloop.adapters import repair_file
from everloop.errors import DataError
from everloop.use_case import DroppedFiles, SourceTable

AT = datetime(2013, 1, 1, 5, 0, 0, 123456, UTC)
TABLE = SourceTable(
    name="readings",
    source=DroppedFiles(pattern="%Y-%m-%d.csv"),
    columns={"id": "int", "place": "string", "level": "float", "open": "bool", "at": "timestamp"},
    key=("id",),
    event_time="at",
    suite="readings",
)
SCHEMA = pa.schema(
    [
        ("_row", pa.string()),
        ("_interval", pa.timestamp("us", "UTC")),
        ("id", pa.int64()),
        ("place", pa.string()),
        ("level", pa.float64()),
        ("open", pa.bool_()),
        ("at", pa.timestamp("us", "UTC")),
        ("_expectations", pa.list_(pa.string())),
        ("_run", pa.string()),
    ]
)
ROW = {"_row": "ab12", "_interval": AT, "id": 1, "place": 'a, "b"\nc', "level": 0.1, "open": False, "at": AT, "_run": "r"}


def written(path: Path, *rows: dict[str, object]) -> Path:
    listed = [{"_expectations": ["low(level)", "contract(level: 'x')"], **row} for row in rows]
    repair_file.write(pa.Table.from_pylist(listed, schema=SCHEMA), TABLE, path)
    return path


VALUES = st.fixed_dictionaries(
    {
        "id": st.integers(-(10**17), 10**17),
        "place": st.none() | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\x00"), min_size=1),
        "level": st.none() | st.floats(-1e9, 1e9).map(lambda value: round(value, 6)),
        "open": st.none() | st.booleans(),
        "at": st.none() | st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),
    }
)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(VALUES)
def test_rows_read_back_as_they_were_written(tmp_path: Path, values: dict[str, object]) -> None:
    [row] = repair_file.read(written(tmp_path / "rows.csv", ROW | values), TABLE).to_pylist()
    assert row == {"_row": "ab12", "_problem": None, **values}


def test_no_rows_are_a_file_with_its_header_alone(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    repair_file.write(pa.table({}), TABLE, path)
    assert path.read_text().strip() == "_row,_interval,_expectations,id,place,level,open,at"
    assert repair_file.read(path, TABLE).num_rows == 0


def test_a_value_of_another_type_is_told_with_its_row(tmp_path: Path) -> None:
    path = written(tmp_path / "rows.csv", ROW, ROW | {"_row": "cd34", "id": 2})
    path.write_text(path.read_text().replace(",0.1,", ",much,", 1))
    first, second = repair_file.read(path, TABLE).to_pylist()
    assert (first["_row"], first["_problem"]) == ("ab12", "level: 'much' is not of type float")
    assert (second["_row"], second["_problem"]) == ("cd34", None)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "cannot be read"),
        (b"_row,id\n\xff,1\n", "cannot be read"),
        (b"_row,id,place,level\nab,1,x,1\n", r"lacks the columns \['open', 'at'\]"),
        (b"_row,id,place,level,open,at\nab,1,x,1,,\nab,2,x,1,,\n", r"names the rows \['ab'\] twice"),
    ],
)
def test_a_file_that_is_none_of_ours_is_refused(tmp_path: Path, content: bytes | None, told: str) -> None:
    path = tmp_path / "rows.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=told):
        repair_file.read(path, TABLE)
