"""Point-in-time join of a year of flights through Feast: our store, hand-written ASOF joins, Feast's own DuckDB store."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable

from benchmarks import world
from benchmarks.peers import FEAST, environment
from benchmarks.process import Measured, measure
from benchmarks.record import Record
from everloop.adapters.features import FeastFeatures
from everloop.adapters.lake import DeltaLake
from everloop.release import ViewPlan
from everloop.settings import PROJECT

KEYS = ["carrier", "tailnum", "origin", "dest", "event_timestamp"]
REQUEST = ["scheduled_departure", "scheduled_arrival", "distance"]
SIDES = ("ours", "polars_by_hand", "duckdb_by_hand")
ROUNDS = 3
RUNS = 3


def main() -> None:
    """The whole year, every entity row on every side."""
    record = Record("point_in_time_join", packages=("feast", "polars", "duckdb", "deltalake", "pyarrow"))
    with world.postgres() as server, tempfile.TemporaryDirectory() as folder:
        uri = server.uri("everloop")
        lake, features = world.kept_lake("weekly", uri)
        compare(record, Path(folder), lake, features, uri, world.KEPT / "weekly", rows=None)
    record.finish()


def compare(
    record: Record, folder: Path, lake: DeltaLake, features: FeastFeatures, uri: str, place: Path, *, rows: int | None
) -> None:
    """Time all sides on `rows` entity rows (`None` for all), and hold their values against each other."""
    asked = entities(lake, rows)
    pq.write_table(asked, folder / "entities.parquet")
    views = list(features.plan().views)
    common = {"place": str(place), "entities": str(folder / "entities.parquet"), "uri": uri}
    _copy(folder, lake, views)
    for _ in range(ROUNDS):  # Feast's side too: what else the machine does then weighs on all sides alike
        for side in SIDES:
            answer = str(folder / f"{side}.parquet")
            found = measure("benchmarks.point_in_time_join", "run", side=side, answer=answer, **common)
            _sample(record, side, found.value["join"], found.peak_mb)
            for seconds in found.value["with_functions"]:
                record.sample(f"{side}, request-time functions too", seconds=seconds)
        peer = _feast(folder, views)
        _sample(record, "feast_duckdb", peer.value, peer.peak_mb)
    _judge(record, folder, asked)


def _sample(record: Record, side: str, took: list[float], peak_mb: float) -> None:
    for seconds in took:
        record.sample(side, seconds=seconds)
    record.sample(side, peak_mb=peak_mb)


def _judge(record: Record, folder: Path, asked: pa.Table) -> None:
    ours = pl.read_parquet(folder / "ours.parquet")
    record.fact("entity rows", asked.num_rows)
    record.fact("entity rows lost", asked.num_rows - ours.height)
    for side in ("polars_by_hand", "duckdb_by_hand", "feast_duckdb"):
        record.fact(f"values that differ from {side}", differing(ours, pl.read_parquet(folder / f"{side}.parquet")))
    seconds = record.median("ours", "seconds")
    whole = record.median("ours, request-time functions too", "seconds")
    record.fact("share of the request-time functions", round((whole - seconds) / whole, 3))
    by_hand = {side: record.median(side, "seconds") for side in SIDES[1:]}
    record.ratio("ours / fastest by hand", seconds / min(by_hand.values()), 1.5, "lower")
    record.ratio("ours / DuckDB's ASOF by hand", seconds / by_hand["duckdb_by_hand"], 1.5, "lower")
    record.ratio("Feast's DuckDB store / ours", record.median("feast_duckdb", "seconds") / seconds, 20, "higher")


def entities(lake: DeltaLake, rows: int | None) -> pa.Table:
    """The year's flights as the loop asks for them, numbered; a random `rows` of them, in the lake's order."""
    case = world.flights()
    bounds = {"start": case.start, "end": world.whole_year().end}
    found = lake.query(case.examples.sql, dict.fromkeys(case.examples.tables), bounds).select([*KEYS, *REQUEST])
    if rows is not None:
        found = found.take(pa.array(np.sort(np.random.default_rng(0).choice(found.num_rows, rows, replace=False))))
    return found.append_column("row", pa.array(np.arange(found.num_rows)))


def differing(ours: pl.DataFrame, theirs: pl.DataFrame) -> int:
    """How many feature values differ, as numbers, nulls (a peer's NaN too) equal to nulls; rows paired by `row`."""
    names = [name for name in theirs.columns if "__" in name]
    ours, theirs = (side.sort("row").select(pl.col(names).cast(pl.Float64).fill_nan(None)) for side in (ours, theirs))
    return sum(int((~ours[name].eq_missing(theirs[name])).sum()) for name in names)


def run(side: str, place: str, entities: str, uri: str, answer: str) -> dict[str, list[float]]:
    """Seconds of `RUNS` joins by `side`, and of as many with the request-time functions; the last join goes to `answer`."""
    asked = pq.read_table(entities)
    features = FeastFeatures(PROJECT / "feature_repo", world.flights(), DeltaLake(place), uri)
    views = features.plan().views
    join = {"ours": _through_feast, "polars_by_hand": _polars, "duckdb_by_hand": _duckdb}[side](features, views, place)
    join(asked)
    rows, took = _timed(join, asked)
    pq.write_table(rows, answer)
    return {"join": took, "with_functions": _timed(features.history, asked)[1] if side == "ours" else []}


def _timed(join: Callable[[pa.Table], pa.Table], asked: pa.Table) -> tuple[pa.Table, list[float]]:
    took = []
    for _ in range(RUNS):
        began = time.perf_counter()
        rows = join(asked)
        took.append(time.perf_counter() - began)
    return rows, took


def _through_feast(features: FeastFeatures, views: tuple[ViewPlan, ...], _: str) -> Callable[[pa.Table], pa.Table]:
    refs = [f"{view.name}:{feature}" for view in views for feature in view.features]
    return lambda asked: features.store.get_historical_features(asked, refs, full_feature_names=True).to_arrow()


def _polars(_: FeastFeatures, views: tuple[ViewPlan, ...], place: str) -> Callable[[pa.Table], pa.Table]:
    """As a person would write it who knows that here whatever happens later is known later too."""

    def join(asked: pa.Table) -> pa.Table:
        rows = pl.DataFrame(pl.from_arrow(asked)).with_row_index("n").sort("event_timestamp").lazy()
        for view in views:
            known = pl.scan_delta(f"{place}/{_table(view)}").select(
                *view.join_keys,
                pl.max_horizontal("event_timestamp", "created").alias("known_from"),
                pl.col("event_timestamp").alias("event"),
                *(pl.col(name).alias(f"{view.name}__{name}") for name in view.features),
            )
            rows = rows.join_asof(
                known.sort("known_from"),
                left_on="event_timestamp",
                right_on="known_from",
                by=list(view.join_keys),
                check_sortedness=False,
            )
            if view.ttl_seconds is not None:
                fresh = pl.col("event") >= pl.col("event_timestamp") - timedelta(seconds=view.ttl_seconds)
                names = [f"{view.name}__{name}" for name in view.features]
                rows = rows.with_columns(pl.when(fresh).then(pl.col(names)).name.keep())
            rows = rows.drop("event", "known_from", strict=False)
        return rows.sort("n").drop("n").collect().to_arrow()

    return join


def _duckdb(_: FeastFeatures, views: tuple[ViewPlan, ...], place: str) -> Callable[[pa.Table], pa.Table]:
    """The same in SQL, a join a view: six in one statement take twice as long."""
    import duckdb

    def join(asked: pa.Table) -> pa.Table:
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            connection.register("asked", asked)
            rows = asked
            for view in views:
                connection.register("known", DeltaTable(f"{place}/{_table(view)}").to_pyarrow_dataset())
                found = connection.execute(_asof_sql(view)).to_arrow_table()
                for name in found.column_names:
                    rows = rows.append_column(name, found[name])
        return rows

    return join


def _asof_sql(view: ViewPlan) -> str:
    keys = " AND ".join(f"a.{key} = k.{key}" for key in view.join_keys)
    fresh = "true" if view.ttl_seconds is None else f"k.event_timestamp >= a.event_timestamp - to_seconds({view.ttl_seconds})"
    values = ", ".join(f"CASE WHEN {fresh} THEN k.{name} END AS {view.name}__{name}" for name in view.features)
    known = "SELECT *, greatest(event_timestamp, created) AS known_from FROM known"
    return (
        f"SELECT {values} FROM asked a ASOF LEFT JOIN ({known}) k ON {keys} AND a.event_timestamp >= k.known_from ORDER BY a.row"
    )


def _copy(folder: Path, lake: DeltaLake, views: list[ViewPlan]) -> None:
    """The feature tables as Feast's store reads them best: one Parquet file a view, in microseconds."""
    for view in views:
        pq.write_table(lake.read(_table(view)), folder / f"{view.name}.parquet")


def _feast(folder: Path, views: list[ViewPlan]) -> Measured:
    asked = [
        {"name": view.name, "keys": list(view.join_keys), "features": dict(view.features), "ttl_seconds": view.ttl_seconds}
        for view in views
    ]
    return measure(
        "benchmarks.feast_duckdb",
        "retrieve",
        python=environment("feast", FEAST),
        folder=str(folder),
        views=asked,
        entities=str(folder / "entities.parquet"),
        answer=str(folder / "feast_duckdb.parquet"),
        runs=1,
    )


def _table(view: ViewPlan) -> str:
    return view.table.partition("flights_")[2]


if __name__ == "__main__":
    main()
