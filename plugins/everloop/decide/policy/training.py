"""How a model is fitted."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from everloop.decide.policy.bounds import unit
from everloop.decide.training.space import Space

Overrides = dict[str, float | int | str]
"""XGBoost's parameters by its own names."""


@dataclass(frozen=True, kw_only=True)
class TrainingPolicy:
    """How a model is fitted.

    `window`: how far back labelled rows are taken from the snapshot's end; `None` takes all.
    `validation`, `calibration`, `holdout`: the shares of the time-ordered rows after the fitting rows, oldest first:
    early stopping, calibration, and the later-in-time rows that the gate judges on. `part_at_most`: how much time each of
    the three covers at most. Shares of a history that grows move the fitting and the calibration rows ever further into the past.
    `parameters`: XGBoost's own names. `checkpoint_rounds`: after so many rounds the fit is saved and goes on from what was
    saved, whether it was killed or not. Random numbers start anew there, so it is part of what makes the model's bytes.

    Tuning fits `trials` variants for `tuning_rounds` each: first every one of `candidates` (overrides of `parameters`; none
    stands for the parameters as they are), then what the seeded search makes of the ranges in `search`, until `tuning_time`
    has passed. Without `search` the candidates are all there is.

    `memory_mb`: a set of more float32 values than this is fitted from pages on disk. The default keeps a worker of 8 GB at
    half: beside the values stand their bins (a quarter to a half of them), Arrow's batches and the libraries (0.5 GB).
    `workers`: Spark workers that fit together, when it is above 1; `spark_rows`: only from so many rows on.
    The other defaults are ours: a start, to be tuned by the use case.
    """

    window: timedelta | None = None
    validation: float = 0.10
    calibration: float = 0.10
    holdout: float = 0.15
    part_at_most: timedelta | None = None
    rounds: int = 400
    early_stopping: int = 25
    seed: int = 7
    parameters: Overrides = field(default_factory=dict)
    checkpoint_rounds: int = 50
    candidates: tuple[Overrides, ...] = ()
    search: dict[str, Space] = field(default_factory=dict)
    trials: int = 20
    tuning_rounds: int = 60
    tuning_time: timedelta | None = None
    minimum_rows: int = 2_000
    memory_mb: int = 2_000
    workers: int = 1
    spark_rows: int | None = None

    def problems(self) -> list[str]:
        """Every broken rule, in words."""
        found = [p for n in ("validation", "calibration", "holdout") for p in unit("TrainingPolicy", n, getattr(self, n))]
        if self.validation + self.calibration + self.holdout > 0.8:
            found.append("TrainingPolicy keeps more than 0.8 of the rows from fitting: lower validation, calibration or holdout")
        if self.part_at_most is not None and self.part_at_most <= timedelta(0):
            found.append(f"TrainingPolicy.part_at_most is {self.part_at_most}: it must be above 0, or None for shares alone")
        counts = ("rounds", "early_stopping", "checkpoint_rounds", "trials", "tuning_rounds", "memory_mb", "workers")
        found += [f"TrainingPolicy.{n} is {getattr(self, n)}: it must be 1 or more" for n in counts if getattr(self, n) < 1]
        if self.spark_rows is not None and self.workers < 2:
            found.append(
                f"TrainingPolicy.spark_rows is {self.spark_rows} and workers is {self.workers}: give it 2 workers or more"
            )
        return found + self._search_problems()

    def _search_problems(self) -> list[str]:
        """What is wrong with the ranges, and which value to begin with lies outside of them."""
        found = [
            f"TrainingPolicy.search: {name} is {space}: {problem}"
            for name, space in self.search.items()
            if (problem := space.problem())
        ]
        found += [
            f"TrainingPolicy.{where} sets max_bin: set it in parameters, since all trials share the binned rows"
            for where, names in (("search", [self.search]), ("candidates", self.candidates))
            if any("max_bin" in one for one in names)
        ]
        begin = {"parameters": self.parameters, **{f"candidates[{n}]": values for n, values in enumerate(self.candidates)}}
        found += [
            f"TrainingPolicy.{where}: {name} is {values[name]}, outside of the search's {space}: widen it"
            for where, values in begin.items()
            for name, space in self.search.items()
            if name in values and not space.holds(values[name])
        ]
        return found
