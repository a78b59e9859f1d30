"""The training set: labelled examples with their features as of the moment of the prediction, checked and divided by time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.decide.statistics.estimate import Estimate
from everloop.errors import DataError
from everloop.learn.encode import feature_types, model_columns
from everloop.learn.examples import LABEL, PART
from everloop.learn.leakage import inputs_alone, perfect
from everloop.learn.split import HOLDOUT, Parts, split
from everloop.ports import Checks, Failure, Features, Lake, Validation
from everloop.release import REQUEST_FUNCTIONS, FeaturePlan
from everloop.steps.labels import booleans, refuse_known_before
from everloop.steps.training.staging import DEFINITION, encode, stage_examples, stage_files
from everloop.use_case import UseCase

if TYPE_CHECKING:
    import pyarrow as pa

TRUE_LABEL = "true_label"
"""The label as it was; a fire drill trains on a shuffled `label` and says so."""

ALONE = "inputs_alone.json"
"""What each input says of the label by itself, highest AUC first, beside the definition."""

_REQUIRED = ("key", "event_timestamp", "label", "label_time")
_NOT_FEATURES = ("key", "label", "label_time")


@dataclass(frozen=True, kw_only=True)
class Definition:
    """What a release is made of besides the model, pinned when its training set was made."""

    snapshot: Mapping[str, int]
    columns: tuple[str, ...]
    plan: FeaturePlan
    trained_from: datetime
    trained_through: datetime
    holdout_from: datetime
    drill: bool


def training_set(
    lake: Lake,
    features: Features,
    checks: Checks,
    use_case: UseCase,
    snapshot: Mapping[str, Any],
    run: str,
    *,
    drill: bool = False,
) -> dict[str, Any]:
    """Stage the training set of a snapshot, and pin the feature plan, the request functions and the suites that belong to it.

    Rows that fail an expectation of severity `quarantine` are left out and counted; a blocking failure is a `DataError`,
    and so is a label that is not true or false, that was known before it was asked for, or that an input tells without an error.
    A `drill` shuffles the labels that the model learns from: the gate, and a forced canary, must then catch it.
    """
    plan = features.plan()
    joined = _joined(lake, features, use_case, snapshot, plan)
    validation = checks.validate(joined, use_case.examples.suite, f"{use_case.name} {use_case.examples.suite} {run}")
    rows = _kept(joined, validation, use_case)
    parts = split(_moments(rows, "event_timestamp"), _moments(rows, "label_time"), use_case.training)
    columns = model_columns(plan, use_case.categories)
    alone = _alone(rows, parts, columns, use_case)
    stage_examples(lake, run, _divided(rows, parts, use_case.training.seed, drill=drill))
    definition = _definition(rows, parts, snapshot["versions"], plan, columns, drill=drill)
    functions = features.request_functions().encode()
    stage_files(
        lake,
        run,
        DEFINITION,
        {
            "definition.json": encode(definition),
            ALONE: encode(alone),
            REQUEST_FUNCTIONS: functions,
            **_suites(checks, use_case),
        },
    )
    return {
        "rows": rows.num_rows,
        "left_out": joined.num_rows - rows.num_rows,
        "parts": parts.counts(),
        "label_rate": float(rows[LABEL].to_numpy().mean()),
        "trained_from": definition.trained_from.isoformat(),
        "trained_through": definition.trained_through.isoformat(),
        "holdout_from": definition.holdout_from.isoformat(),
        "warnings": [failure.text for failure in validation.failures],
        "drill": drill,
    }


def _joined(lake: Lake, features: Features, use_case: UseCase, snapshot: Mapping[str, Any], plan: FeaturePlan) -> pa.Table:
    """Examples in time order, each once, with the plan's feature columns as of their event time."""
    versions = snapshot["versions"]
    bounds = {name: datetime.fromisoformat(snapshot[name]) for name in ("start", "end")}
    pinned = {name: versions[name] for name in use_case.examples.tables}
    examples = _sound(lake.query(use_case.examples.sql, pinned, bounds), use_case)
    history = features.history(examples.drop_columns(list(_NOT_FEATURES)), versions)
    for name in feature_types(plan):
        examples = examples.append_column(name, history[name])
    return examples


def _sound(examples: pa.Table, use_case: UseCase) -> pa.Table:
    """Examples that have what every training set needs, sorted by event time and key."""
    where = f'Examples of use case "{use_case.name}"'
    if lost := [name for name in _REQUIRED if name not in examples.column_names]:
        raise DataError(f"{where} lack the columns {lost}: have Examples.sql select them")
    if nulls := [name for name in _REQUIRED if examples[name].null_count]:
        raise DataError(f"{where} have nulls in {nulls}: have Examples.sql leave such rows out")
    if twice := examples.num_rows - len(examples["key"].unique()):
        raise DataError(f"{where} have {twice} rows whose key occurs before: have Examples.sql give one row per prediction")
    asked, known = _moments(examples, "event_timestamp"), _moments(examples, "label_time")
    refuse_known_before(examples["key"], asked, known, use_case)
    labels = booleans(examples[LABEL], use_case)
    examples = examples.set_column(examples.column_names.index(LABEL), LABEL, labels)
    return examples.sort_by([("event_timestamp", "ascending"), ("key", "ascending")])


def _kept(rows: pa.Table, validation: Validation, use_case: UseCase) -> pa.Table:
    if validation.blocking:
        found = "\n".join(f"  - {failure.text}" for failure in validation.blocking)
        raise DataError(
            f'Training set of "{use_case.name}" breaks suite "{validation.suite}":\n{found}\n  Mend the data or the suite'
        )
    return rows.filter(_mask(rows.num_rows, [f for f in validation.failures if f.severity == "quarantine"]))


def _mask(size: int, failures: list[Failure]) -> pa.Array:
    import pyarrow as pa

    keep = np.ones(size, dtype=bool)
    for failure in failures:
        keep[list(failure.rows)] = False
    return pa.array(keep)


def _moments(rows: pa.Table, column: str) -> np.ndarray[Any, np.dtype[np.datetime64]]:
    """A time column as UTC microseconds."""
    import pyarrow as pa

    values: np.ndarray[Any, np.dtype[np.datetime64]] = rows[column].cast(pa.timestamp("us", "UTC")).to_numpy()
    return values


def _alone(rows: pa.Table, parts: Parts, columns: Sequence[str], use_case: UseCase) -> dict[str, Estimate]:
    """What each input says of the label by itself; `DataError` where one tells it without an error."""
    labels, held_out = _true(rows), parts[HOLDOUT]
    found = inputs_alone(rows, labels, parts.learnt, held_out, columns, use_case.categories, use_case.gate.confidence)
    if told := perfect(found, float(labels[held_out].mean())):
        raise DataError(
            f'Inputs {told} of use case "{use_case.name}" each tell the label of all {held_out.sum()} held-out rows without an '
            "error (AUC 1): a label cannot be among what it is predicted from; look whether they are known when the prediction "
            "is asked for, and leave them out of the feature service or of UseCase.categories"
        )
    return found


def _true(rows: pa.Table) -> np.ndarray[Any, np.dtype[np.bool_]]:
    labels: np.ndarray[Any, np.dtype[np.bool_]] = rows[LABEL].to_numpy(zero_copy_only=False).astype(bool)
    return labels


def _divided(rows: pa.Table, parts: Parts, seed: int, *, drill: bool) -> pa.Table:
    """The rows with their part, the label to learn and the true label."""
    import pyarrow as pa

    true = _true(rows)
    labels = true.copy()
    if drill:
        labels[parts.learnt] = np.random.default_rng(seed).permutation(true[parts.learnt])
    columns = {**{name: rows[name] for name in rows.column_names}, LABEL: labels, TRUE_LABEL: true, PART: pa.array(parts.names)}
    return pa.table(columns)


def _definition(
    rows: pa.Table, parts: Parts, versions: Mapping[str, int], plan: FeaturePlan, columns: tuple[str, ...], *, drill: bool
) -> Definition:
    learnt = _moments(rows, "label_time")[parts.learnt]
    return Definition(
        snapshot=versions,
        columns=columns,
        plan=plan,
        trained_from=_aware(learnt.min()),
        trained_through=_aware(learnt.max()),
        holdout_from=_aware(parts.holdout_from),
        drill=drill,
    )


def _aware(moment: np.datetime64) -> datetime:
    found: datetime = moment.astype("datetime64[us]").item()
    return found.replace(tzinfo=UTC)


def _suites(checks: Checks, use_case: UseCase) -> dict[str, bytes]:
    """Every suite of the use case, as `suites/<name>.json`."""
    named = [*(table.suite for table in use_case.sources), use_case.examples.suite, use_case.feature_suite]
    return {f"suites/{name}.json": checks.suite_text(name).encode() for name in dict.fromkeys(named) if name}
