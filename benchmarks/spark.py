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


def training(record: Record, master: str, folder: Path) -> None:
    """The same flights, fitted by one machine and by two workers, judged on later flights."""
    from sklearn.metrics import roc_auc_score

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
        encoder, machine, settings = encoder_of(examples, job), Machine("cpu", 2), parameters(job.policy, {})
        length = replace(Length.of(job.policy), rounds=ROUNDS)
        made = matrices(examples, encoder, machine)
        here = _timed(record, "one machine", "fit_seconds", fit, made, settings, length, machine)
        on_spark = partial(SparkCluster(master, lake).fit, workers=2)
        there = _timed(record, "spark", "fit_seconds", on_spark, STAGED, encoder, settings, length)
        lake.unstage(STAGED)
    inputs, labels = (np.concatenate(found) for found in zip(*examples.encoded(HOLDOUT, encoder), strict=True))
    scores = [each.booster.inplace_predict(inputs) for each in (here, there)]
    aucs = [roc_auc_score(labels, each) for each in scores]
    record.fact("AUC on later flights, one machine and Spark", [round(auc, 5) for auc in aucs])
    record.fact("largest difference of probability", float(np.abs(scores[0] - scores[1]).max()))
    record.fact("median difference of probability", float(np.median(np.abs(scores[0] - scores[1]))))
    record.ratio("difference of AUC, Spark and one machine", abs(aucs[0] - aucs[1]), 0.001, "lower")


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
