"""The real year's labelled flights with their features, divided as training divides them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa

from benchmarks import world
from everloop.adapters.lake import DeltaLake
from everloop.learn.encode import feature_types, model_columns
from everloop.learn.examples import PART
from everloop.learn.job import Job
from everloop.learn.split import split


@contextmanager
def training_rows() -> Iterator[tuple[Job, pa.Table, DeltaLake]]:
    """The shipped use case's job, its rows of the whole year, and the lake that they come from."""
    with world.postgres() as server:
        lake, features = world.kept_lake("weekly", server.uri("everloop"))
        case, plan = world.flights(), features.plan()
        rows = world.examples(lake, case)
        history = features.history(rows.drop_columns(["key", "label", "label_time"]))
        for name in feature_types(plan):
            rows = rows.append_column(name, history[name])
        times = [rows[name].cast(pa.timestamp("us", "UTC")).to_numpy() for name in ("event_timestamp", "label_time")]
        rows = rows.append_column(PART, pa.array(split(*times, case.training).names))
        columns = model_columns(plan, case.categories)
        yield Job(columns=columns, categories=case.categories, policy=case.training), rows, lake
