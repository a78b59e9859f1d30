"""XGBoost on several workers of a Spark cluster, by XGBoost's own `xgboost.spark`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from everloop.errors import TrainingError
from everloop.learn.checkpoint import Progress
from everloop.learn.fit import Fitted, Length, Settings

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

LABEL, VALIDATION = "label", "validation"
"""The columns beside the inputs: 0 or 1, and whether the row only stops the training."""

_ITS_OWN = {"objective", "device", "nthread", "verbosity"}
"""What the estimator sets itself; it refuses to be told."""
_OTHER_NAMES = {"seed": "random_state"}


def fit(frame: DataFrame, kinds: Mapping[str, str], settings: Settings, length: Length, *, workers: int) -> Fitted:
    """Fit on a frame of encoded float columns `kinds` (name to `c` or `q`), `label`, `validation`.

    Each worker holds its share of the rows; trees come of histograms that are summed over all. With row subsampling the
    workers draw other rows than one machine would, so the model is an equal one, not the same one. A fit that is killed begins
    again: no checkpoints are kept. `TrainingError` when the cluster gives fewer than `workers` slots at once or a worker fails.
    """
    from xgboost.spark import SparkXGBClassifier

    estimator = SparkXGBClassifier(
        features_col=list(kinds),
        feature_names=list(kinds),
        feature_types=list(kinds.values()),
        label_col=LABEL,
        validation_indicator_col=VALIDATION,
        num_workers=workers,
        n_estimators=length.rounds,
        early_stopping_rounds=length.early_stopping,
        missing=float("nan"),
        **{_OTHER_NAMES.get(name, name): value for name, value in settings.items() if name not in _ITS_OWN},
    )
    try:
        model = estimator.fit(frame.repartition(workers))
    except Exception as error:  # whatever Spark or a worker makes of it, it is the finding
        raise TrainingError(
            f"Training on {workers} Spark workers failed: {_last_words(error)}. Look at the executors' logs"
        ) from error
    losses = tuple(model.training_summary.validation_objective_history["logloss"])
    best = Progress(losses=losses).best
    return Fitted(model.get_booster()[: best + 1], losses, "spark", workers)


def _last_words(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip() and not line.strip().startswith("at ")]
    return " / ".join(lines[-3:])
