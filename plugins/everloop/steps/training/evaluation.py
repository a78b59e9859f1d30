"""Candidate and champion on the same held-out rows: the evidence that the gate judges, and what reviewers look at."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from everloop.decide import fairness
from everloop.decide.release.gate import Behaviour, Champion, Comparison, Evidence, Scored, alone, compare
from everloop.decide.statistics.clusters import Codes, blocks
from everloop.decide.statistics.estimate import Estimate
from everloop.decide.watch import performance
from everloop.errors import DataError, ReleaseError
from everloop.learn.behaviour import Trial, behave, spread
from everloop.learn.encode import Encoder
from everloop.learn.history import History
from everloop.learn.job import TRAINED, Trained
from everloop.learn.metrics import by_slice, measure
from everloop.learn.perturb import extents
from everloop.learn.plots import plots
from everloop.learn.reference import Blocks, describe
from everloop.learn.scoring import Model, top_contributions
from everloop.learn.split import HOLDOUT, LEARNT
from everloop.ports import Lake, Ledger, Registry
from everloop.release import MODEL as MODEL_FILE
from everloop.release import REFERENCE
from everloop.steps.training.examples import ALONE, TRUE_LABEL, Definition
from everloop.steps.training.staging import (
    DEFINITION,
    EVALUATION,
    MODEL,
    decode,
    encode,
    stage_files,
    staged_examples,
    staged_files,
)
from everloop.use_case import UseCase

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

EXPLAINED = 2_000
"""Held-out rows whose contributions make the importance: SHAP costs a hundred times a score."""

SHOWN = 3
"""Rows of the input example, and inputs of which is told what they say alone."""

Slices = Mapping[str, "npt.NDArray[np.str_]"]


@dataclass(frozen=True, kw_only=True)
class Report:
    """What evaluation leaves for registration besides the pictures and the reference statistics."""

    metrics: Mapping[str, float]
    slices: Mapping[str, Mapping[str, Mapping[str, float]]]
    importance: Mapping[str, float]
    examples: tuple[Mapping[str, float | None], ...]
    evidence: Mapping[str, Any]


def evaluate(lake: Lake, registry: Registry, ledger: Ledger, use_case: UseCase, run: str) -> dict[str, Any]:
    """Stage measures, plots and reference statistics; return the gate's evidence as JSON, with the candidate's measures.

    Held-out rows were asked for after every label that the candidate learnt from was known. Against the champion only those
    count that were also asked for after its own `trained_through`.
    """
    began = time.monotonic()
    examples = staged_examples(lake, run)
    pinned = staged_files(lake, run, DEFINITION)
    definition = decode(pinned["definition.json"], Definition)
    model = staged_files(lake, run, MODEL)
    trained = decode(model[TRAINED], Trained)
    candidate = Model(model[MODEL_FILE], Encoder(trained.columns, trained.categories), trained.calibrator)
    holdout = _Holdout.of(examples, lake, use_case)
    scored = Scored(candidate.score(candidate.encoder.table(holdout.rows)), use_case.cost.threshold)
    metrics = measure(holdout.labels, scored.scores, scored.threshold, use_case.cost)
    evidence = replace(
        _evidence(registry, ledger, use_case, holdout, scored, len(model[MODEL_FILE]) / 1e6, definition),
        behaviour=_behaviour(use_case, examples, candidate, holdout, definition),
        alone=dict(islice(decode(pinned[ALONE], dict[str, Estimate]).items(), SHOWN)),
        rows_per_week=holdout.rows_per_week,
    )
    groups = {column: _groups(holdout, column, scored) for column in use_case.fairness.columns}
    found = {"evidence": msgspec.to_builtins(evidence), "fairness": groups, "metrics": metrics}
    _stage(lake, use_case, run, examples, candidate, holdout, scored, metrics, found)
    return {**found, "champion": evidence.champion and evidence.champion.release, "seconds": time.monotonic() - began}


@dataclass(frozen=True)
class _Holdout:
    """The held-out rows, their labels, when each was asked for (UTC) and the block of time that lies in, each slice's values."""

    rows: pa.Table
    labels: npt.NDArray[np.bool_]
    asked: npt.NDArray[np.datetime64]
    blocks: Codes
    slices: Slices

    @classmethod
    def of(cls, examples: pa.Table, lake: Lake, use_case: UseCase) -> _Holdout:
        rows = examples.filter(_in(examples, (HOLDOUT,)))
        labels, asked = rows[TRUE_LABEL].to_numpy(zero_copy_only=False).astype(bool), _asked(rows)
        return cls(rows, labels, asked, blocks(asked, use_case.gate.block), _slices(lake, rows, use_case))

    @property
    def rows_per_week(self) -> float | None:
        """How many such rows come a week; `None` where they are all of one moment."""
        if not len(self.asked):
            return None
        weeks = (self.asked.max() - self.asked.min()) / np.timedelta64(7, "D")
        return float((len(self.asked) - 1) / weeks) if weeks else None


def _asked(rows: pa.Table) -> npt.NDArray[np.datetime64]:
    """When each row was asked for, UTC."""
    import pyarrow as pa

    found: npt.NDArray[np.datetime64] = rows["event_timestamp"].cast(pa.timestamp("us", "UTC")).to_numpy()
    return found


def _in(examples: pa.Table, names: tuple[str, ...]) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.is_in(examples["part"], value_set=pa.array(names))


def _slices(lake: Lake, rows: pa.Table, use_case: UseCase) -> Slices:
    import pyarrow as pa

    if not use_case.slices:
        return {}
    chosen = ", ".join(f"coalesce(CAST({sql} AS VARCHAR), '(missing)') AS \"{name}\"" for name, sql in use_case.slices.items())
    numbered = rows.append_column("_row", pa.array(range(rows.num_rows)))
    found = lake.query_rows(f"SELECT {chosen} FROM examples ORDER BY _row", {"examples": numbered})
    return {name: found[name].to_numpy(zero_copy_only=False).astype(str) for name in use_case.slices}


def _evidence(
    registry: Registry,
    ledger: Ledger,
    use_case: UseCase,
    holdout: _Holdout,
    scored: Scored,
    size_mb: float,
    definition: Definition,
) -> Evidence:
    candidate = alone(holdout.labels, holdout.blocks, scored, size_mb, definition.trained_through, use_case.gate)
    serving = ledger.head(use_case.name)[1].champion
    if serving is None:
        return Evidence(candidate=candidate)
    bundle = registry.get(serving)
    champion = Champion(release=serving, trained_through=bundle.manifest.trained_through)
    try:
        model = Model.of(bundle)
        theirs = Scored(model.score(model.encoder.table(holdout.rows)), bundle.manifest.threshold)
    except (DataError, ReleaseError) as error:
        problem = f"champion {serving} cannot be scored on the candidate's rows: {error}"
        return Evidence(candidate=candidate, champion=champion, problem=problem)
    comparison = _comparison(holdout, scored, theirs, champion, use_case)
    return Evidence(candidate=candidate, champion=champion, comparison=comparison)


def _behaviour(use_case: UseCase, examples: pa.Table, model: Model, holdout: _Holdout, definition: Definition) -> Behaviour:
    """What the candidate makes of held-out rows whose inputs are changed on purpose."""
    policy = use_case.gate.behaviour
    chosen = spread(holdout.rows.num_rows, policy.rows)
    trial = Trial(
        model=model,
        rows=holdout.rows.take(chosen),
        labels=holdout.labels[chosen],
        blocks=holdout.blocks[chosen],
        threshold=use_case.cost.threshold,
        cost=use_case.cost,
        of=extents(examples.filter(_in(examples, LEARNT)), model.encoder),
        confidence=use_case.gate.confidence,
        seed=use_case.training.seed,
    )
    return behave(trial, policy, [view.name for view in definition.plan.views])


def _comparison(holdout: _Holdout, ours: Scored, theirs: Scored, champion: Champion, use_case: UseCase) -> Comparison:
    later = holdout.asked > np.datetime64(champion.trained_through.replace(tzinfo=None), "us")
    return compare(
        holdout.labels[later],
        holdout.blocks[later],
        Scored(ours.scores[later], ours.threshold),
        Scored(theirs.scores[later], theirs.threshold),
        {name: values[later] for name, values in holdout.slices.items()},
        use_case.cost,
        use_case.gate,
    )


def _groups(holdout: _Holdout, column: str, scored: Scored) -> dict[str, Any]:
    """The sufficient statistics of fairness by group, as JSON."""
    if column not in holdout.rows.column_names:
        raise DataError(f'FairnessPolicy.columns names "{column}", which Examples.sql does not select: add it there')
    labels, decided = holdout.labels.astype(float), scored.scores >= scored.threshold
    counts = fairness.count(holdout.rows[column].to_pylist(), decided, labels, holdout.blocks)
    found: dict[str, Any] = msgspec.to_builtins(counts)
    return found


def _stage(
    lake: Lake,
    use_case: UseCase,
    run: str,
    examples: pa.Table,
    model: Model,
    holdout: _Holdout,
    scored: Scored,
    metrics: Mapping[str, float],
    found: Mapping[str, Any],
) -> None:
    matrix = model.encoder.table(holdout.rows)
    sample = matrix[:: -(-len(matrix) // EXPLAINED)]
    importance = top_contributions(model.contributions(sample), model.encoder.columns)
    learnt = examples.filter(_in(examples, LEARNT))
    labels = learnt["label"].to_numpy(zero_copy_only=False).astype(bool)
    held_out = (holdout.labels, scored.scores, metrics)
    decisions = scored.scores >= scored.threshold
    alike = performance.alike(holdout.labels, scored.scores, decisions, use_case.cost, holdout.blocks)
    by_block = Blocks(blocks(_asked(learnt), use_case.gate.block), holdout.blocks, alike)
    history = History.of(examples, model, use_case.interval)
    reference = describe(
        learnt, model.encoder.columns, model.encoder.categories, labels, *held_out, history=history, blocks=by_block
    )
    report = Report(
        metrics=metrics,
        slices=by_slice(holdout.slices, holdout.labels, scored.scores, scored.threshold, use_case.cost),
        importance=importance,
        examples=tuple(dict(zip(model.encoder.columns, map(_number, row), strict=True)) for row in matrix[:SHOWN]),
        evidence=found["evidence"],
    )
    pictures = plots(holdout.labels, scored.scores, scored.threshold, importance)
    files = {"report.json": encode(report), REFERENCE: encode(reference)}
    stage_files(lake, run, EVALUATION, {**files, **{f"plots/{name}": content for name, content in pictures.items()}})


def _number(value: np.float32) -> float | None:
    return None if np.isnan(value) else float(value)
