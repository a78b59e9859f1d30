"""The real year in memory: every flight of 2013 with its features as of the moment of asking, and models trained as of a date."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks import world
from benchmarks.flights import training_rows
from everloop.decide.policy import TrainingPolicy
from everloop.decide.statistics.clusters import blocks
from everloop.decide.watch import performance
from everloop.learn.encode import Encoder
from everloop.learn.examples import LABEL, PART
from everloop.learn.history import History
from everloop.learn.job import TRAINED, Job, Trained, ask, digest, give, put, read
from everloop.learn.metrics import measure
from everloop.learn.reference import Blocks, describe
from everloop.learn.scoring import Model
from everloop.learn.split import HOLDOUT, LEARNT, split
from everloop.learn.train import train
from everloop.release import MODEL
from everloop.use_case import UseCase

ROWS, JOB = "flights_year.parquet", "flights_year.json"

Flags = npt.NDArray[np.bool_]
Scores = npt.NDArray[np.float64]
Moments = npt.NDArray[np.datetime64]


@dataclass(frozen=True)
class Year:
    """All examples of 2013 in the order of asking. `columns`: the model's inputs; `rows` has them, the request and the label."""

    case: UseCase
    rows: pa.Table
    columns: tuple[str, ...]

    @cached_property
    def asked(self) -> Moments:
        """When each was asked for (n,), UTC."""
        return _moments(self.rows, "event_timestamp")

    @cached_property
    def known(self) -> Moments:
        """When each label was known (n,), UTC."""
        return _moments(self.rows, "label_time")

    @cached_property
    def labels(self) -> Flags:
        """Late or cancelled (n,)."""
        found: Flags = self.rows[LABEL].to_numpy(zero_copy_only=False).astype(bool)
        return found

    def between(self, start: datetime, end: datetime) -> Flags:
        """The mask of the rows asked for in `[start, end)`."""
        found: Flags = (self.asked >= moment(start)) & (self.asked < moment(end))
        return found


@dataclass(frozen=True)
class Trained2013:
    """A real model, which has learnt of labels known by `trained_through`. `holdout`: the mask of its held-out rows in `Year`."""

    name: str
    model: Model
    threshold: float
    trained_through: np.datetime64
    metrics: dict[str, float]
    reference: dict[str, Any]
    holdout: Flags
    size_mb: float

    def score(self, year: Year, mask: Flags | None = None) -> Scores:
        """Calibrated scores of the year's rows, or of those in `mask`."""
        rows = year.rows if mask is None else year.rows.filter(pa.array(mask))
        return self.model.score(self.model.encoder.table(rows))


def load() -> Year:
    """The year, made once through Feast and the lake (a minute) and kept."""
    kept = world.KEPT / ROWS
    if not kept.exists():
        with training_rows() as (job, rows, _):
            partial = kept.with_suffix(".partial")
            pq.write_table(rows.drop_columns([PART]), partial)
            put(world.KEPT, JOB, json.dumps(job.columns).encode())
            partial.replace(kept)
    return Year(world.flights(), pq.read_table(kept), tuple(json.loads((world.KEPT / JOB).read_text())))


def fit(year: Year, cut: datetime, policy: TrainingPolicy | None = None, *, shuffled: bool = False) -> Trained2013:
    """The model that a retraining at `cut` makes of the labels known by then; the same one every time, and kept.

    `policy` other than the use case's for other models; `shuffled` labels make a model that has learnt nothing.
    """
    chosen = policy or year.case.training
    known = year.known < moment(cut)
    if chosen.window is not None:
        known &= year.known >= moment(cut - chosen.window)
    rows = year.rows.filter(pa.array(known))
    parts = split(_moments(rows, "event_timestamp"), _moments(rows, "label_time"), chosen)
    labels = year.labels[known]
    if shuffled:
        learnt = np.flatnonzero(parts.learnt)
        labels = labels.copy()
        labels[learnt] = labels[np.random.default_rng(chosen.seed).permutation(learnt)]
    divided = rows.set_column(rows.column_names.index(LABEL), LABEL, pa.array(labels)).append_column(PART, pa.array(parts.names))
    job = Job(columns=year.columns, categories=year.case.categories, policy=chosen)
    name, content, trained = _trained(divided, job)
    model = Model(content, Encoder(trained.columns, trained.categories), trained.calibrator, threads=2)
    holdout = known.copy()
    holdout[known] = parts[HOLDOUT]
    threshold = year.case.cost.threshold
    scores = model.score(model.encoder.table(year.rows.filter(pa.array(holdout))))
    metrics = measure(year.labels[holdout], scores, threshold, year.case.cost)
    learnt_rows = divided.filter(pa.array(np.isin(parts.names, LEARNT)))
    held_out = (year.labels[holdout], scores, metrics)
    history, by_block = History.of(divided, model, year.case.interval), _blocks(year, held_out, holdout, learnt_rows)
    reference = describe(
        learnt_rows, trained.columns, trained.categories, labels[parts.learnt], *held_out, history=history, blocks=by_block
    )
    through = _moments(rows, "label_time")[parts.learnt].max()
    return Trained2013(name, model, threshold, through, metrics, reference, holdout, len(content) / 1e6)


def _blocks(year: Year, held_out: tuple[Flags, Scores, Any], holdout: Flags, learnt: pa.Table) -> Blocks:
    width, (labels, scores, _) = year.case.gate.block, held_out
    days = blocks(year.asked[holdout], width)
    alike = performance.alike(labels, scores, scores >= year.case.cost.threshold, year.case.cost, days)
    return Blocks(blocks(_moments(learnt, "event_timestamp"), width), days, alike)


def _trained(rows: pa.Table, job: Job) -> tuple[str, bytes, Trained]:
    """Name, bytes and the rest of a fit of `rows`, kept by all that makes it."""
    with tempfile.TemporaryDirectory(prefix="everloop-fit-") as place:
        folder = Path(place)
        give(folder, rows.select([*job.columns, LABEL, PART]).to_batches())
        ask(folder, job)
        name = digest(folder, "cpu")[:12]
        kept = world.KEPT / "models" / name
        if not (kept / TRAINED).exists():
            content, trained = train(folder)
            shutil.rmtree(kept, ignore_errors=True)
            kept.mkdir(parents=True)
            put(kept, MODEL, content)
            put(kept, TRAINED, msgspec.json.encode(trained))
        return name, (kept / MODEL).read_bytes(), read(kept, TRAINED, Trained)


def quicker(policy: TrainingPolicy, rounds: int) -> TrainingPolicy:
    """The same policy with fewer rounds, for tests."""
    return replace(policy, rounds=rounds, early_stopping=min(policy.early_stopping, rounds))


def moment(at: datetime) -> np.datetime64:
    """A UTC time as the arrays hold it."""
    return np.datetime64(at.replace(tzinfo=None), "us")


def _moments(rows: pa.Table, column: str) -> Moments:
    found: Moments = rows[column].cast(pa.timestamp("us", "UTC")).to_numpy()
    return found
