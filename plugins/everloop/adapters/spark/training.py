"""XGBoost on several workers of a Spark cluster, by XGBoost's own `xgboost.spark`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from everloop.errors import TrainingError

if TYPE_CHECKING:
    import xgboost
    from pyspark.sql import SparkSession

LABEL, VALIDATION = "label", "validation"
"""The columns beside the inputs: 0 or 1, and whether the row only stops the training."""

_ITS_OWN = {"objective", "device", "nthread", "verbosity"}
"""What the estimator sets itself; it refuses to be told."""
_OTHER_NAMES = {"seed": "random_state"}


@dataclass(frozen=True, kw_only=True)
class SparkFitted:
    """A booster cut back to its best round, and the validation log loss of every round."""

    booster: xgboost.Booster
    losses: tuple[float, ...]


def fit(
    spark: SparkSession,
    uris: Sequence[str],
    kinds: Mapping[str, str],
    settings: Mapping[str, float | int | str],
    *,
    rounds: int,
    early_stopping: int,
    workers: int,
) -> SparkFitted:
    """Fit on the Parquet files `uris`: encoded float columns `kinds` (name to `c` or `q`), `label`, `validation`.

    Each worker holds its share of the rows; trees come of histograms that are summed over all. With row subsampling the
    workers draw other rows than one machine would, so the model is an equal one, not the same one. `TrainingError` when the
    cluster gives fewer than `workers` slots at once or a worker fails.
    """
    from xgboost.spark import SparkXGBClassifier

    estimator = SparkXGBClassifier(
        features_col=list(kinds),
        feature_names=list(kinds),
        feature_types=list(kinds.values()),
        label_col=LABEL,
        validation_indicator_col=VALIDATION,
        num_workers=workers,
        n_estimators=rounds,
        early_stopping_rounds=early_stopping,
        missing=float("nan"),
        **{_OTHER_NAMES.get(name, name): value for name, value in settings.items() if name not in _ITS_OWN},
    )
    try:
        model = estimator.fit(spark.read.parquet(*uris).repartition(workers))
    except Exception as error:  # whatever Spark or a worker makes of it, it is the finding
        raise TrainingError(
            f"Training on {workers} Spark workers failed: {_last_words(error)}. Look at the executors' logs"
        ) from error
    losses = tuple(model.training_summary.validation_objective_history["logloss"])
    return SparkFitted(booster=_best(model.get_booster(), losses), losses=losses)


def _best(booster: Any, losses: Sequence[float]) -> xgboost.Booster:
    """Up to the round of the smallest loss: early stopping leaves the rounds that made it stop."""
    best = min(range(len(losses)), key=losses.__getitem__)
    kept: xgboost.Booster = booster[: best + 1]
    return kept


def _last_words(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip() and not line.strip().startswith("at ")]
    return " / ".join(lines[-3:])
