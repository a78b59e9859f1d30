"""Spark on a cluster of two workers against the engine of one machine: feature tables, history, training."""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks import world
from benchmarks.flights import training_rows
from benchmarks.process import ROOT
from benchmarks.record import Record

sys.path.append(str(ROOT / "tests"))

WEEKS = 8
ENTITIES = 100_000
ROUNDS = 100
STAGED = "benchmark/examples"


def main() -> None:
    """Both sides in one run."""
    from everloop.adapters.spark.session import session
    from fakes.spark_cluster import cluster

    record = Record("spark", packages=("pyspark", "polars", "duckdb", "xgboost", "sqlglot"))
    folder = Path(tempfile.mkdtemp(prefix="everloop-spark-"))
    try:
        with world.postgres() as server, cluster(folder, memory="2g") as master:
            began = time.perf_counter()
            session(master).conf.set("spark.sql.shuffle.partitions", "4")
            record.sample("spark", session_seconds=time.perf_counter() - began)
            features(record, server.uri("everloop"), master)
            training(record, master, folder)
            session(master).stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    record.finish()


def features(record: Record, database: str, master: str) -> None:
    """The last weeks' feature tables, and the history of many flights, by both engines."""
    from everloop.adapters.spark.engine import SparkEngine

    engine = SparkEngine(master)
    lake, local = world.kept_lake("weekly", database)
    case = world.flights()
    weeks = list(world.grid(case.start, case.interval, world.whole_year().end))[-WEEKS:]
    differing = 0
    for view in local._views():
        for week in weeks:
            bounds = {n: v for n, v in (("start", week.start), ("end", week.end)) if f"${n}" in view.source.sql}
            tables = dict.fromkeys(view.source.tables)
            ours = _timed(record, "duckdb", "features_seconds", lake.query, view.source.sql, tables, bounds)
            theirs = _timed(record, "spark", "features_seconds", engine.query, lake, view.source.sql, tables, bounds)
            differing += _differing(ours, theirs.select(ours.column_names), list(view.plan.join_keys))
    record.fact(f"feature rows that differ by more than 1e-9, {len(weeks)} weeks of all views", differing)
    entities = world.entities(lake, case).slice(0, ENTITIES)
    on_spark = type(local)(local._repo, case, lake, database, spark=master)
    ours = _timed(record, "polars", "history_seconds", local.history, entities)
    theirs = _timed(record, "spark", "history_seconds", on_spark.history, entities)
    equal = sum(a == b for a, b in zip(ours.to_pylist(), theirs.to_pylist(), strict=True))
    record.fact("history rows equal", f"{equal} of {entities.num_rows}")


DRAWS = {"as shipped": {}, "all rows and columns": {"subsample": 1.0, "colsample_bytree": 1.0}}
"""With the shipped settings each tree sees a draw of the rows and columns, on Spark another one than on one machine."""


def training(record: Record, master: str, folder: Path) -> None:
    """The same flights, fitted by one machine and by two workers, judged on later flights.

    Beside them one machine under other seeds, which is the difference that a draw alone makes.
    """
    from everloop.adapters.spark.cluster import SparkCluster
    from everloop.learn.device import Machine
    from everloop.learn.examples import LABEL, PART
    from everloop.learn.fit import Length, fit, parameters
    from everloop.learn.job import give
    from everloop.learn.matrices import matrices
    from everloop.learn.split import FIT, HOLDOUT
    from everloop.learn.train import encoder_of

    with training_rows() as (job, rows, lake):
        examples = give(folder / "job", rows.select([*job.columns, LABEL, PART]).to_batches())
        lake.stage(STAGED, rows)
        record.fact("training rows", examples.count(FIT))
        encoder, machine = encoder_of(examples, job), Machine("cpu", 2)
        length = replace(Length.of(job.policy), rounds=ROUNDS)
        made = matrices(examples, encoder, machine)
        held_out = tuple(np.concatenate(found) for found in zip(*examples.encoded(HOLDOUT, encoder), strict=True))
        on_spark = partial(SparkCluster(master, lake).fit, workers=2)
        for draw, overrides in DRAWS.items():
            settings = parameters(job.policy, overrides)
            here = _timed(record, "one machine", "fit_seconds", fit, made, settings, length, machine)
            there = _timed(record, "spark", "fit_seconds", on_spark, STAGED, encoder, settings, length)
            _hold(record, draw, here.booster, there.booster, held_out)
        seeds = [fit(made, {**parameters(job.policy, {}), "seed": seed}, length, machine) for seed in (8, 9, 10)]
        record.fact("AUC of one machine under three other seeds", [round(_auc(each.booster, held_out), 5) for each in seeds])
        lake.unstage(STAGED)


def _hold(record: Record, draw: str, here: Any, there: Any, held_out: tuple[Any, ...]) -> None:
    """One machine's model against Spark's on the flights that neither has seen."""
    aucs = [_auc(each, held_out) for each in (here, there)]
    apart = np.abs(here.inplace_predict(held_out[0]) - there.inplace_predict(held_out[0]))
    record.fact(f"AUC on later flights, one machine and Spark, {draw}", [round(auc, 5) for auc in aucs])
    record.fact(f"largest and median difference of probability, {draw}", [float(apart.max()), float(np.median(apart))])
    record.ratio(f"difference of AUC, Spark and one machine, {draw}", abs(aucs[0] - aucs[1]), 0.001, "lower")


def _auc(booster: Any, held_out: tuple[Any, ...]) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(held_out[1], booster.inplace_predict(held_out[0])))


def _timed(record: Record, side: str, what: str, call: Callable[..., Any], *arguments: Any) -> Any:
    began = time.perf_counter()
    found = call(*arguments)
    record.sample(side, **{what: time.perf_counter() - began})
    return found


def _differing(ours: pa.Table, theirs: pa.Table, keys: list[str]) -> int:
    """Rows without a counterpart, and values that differ beyond the last bits of a mean."""
    order = [(name, "ascending") for name in (*keys, "event_timestamp")]
    left, right = (rows.sort_by(order).to_pylist() for rows in (ours, theirs))
    return abs(len(left) - len(right)) + sum(not _same(a, b) for a, b in zip(left, right, strict=False))


def _same(left: dict[str, Any], right: dict[str, Any]) -> bool:
    return all(
        abs(value - right[name]) <= 1e-9 * max(1.0, abs(value))
        if isinstance(value, float) and right[name] is not None
        else value == right[name]
        for name, value in left.items()
    )


if __name__ == "__main__":
    main()
