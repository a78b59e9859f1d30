"""The rules that a use case may set: plain frozen values, each default with its source.

Nothing heavy is imported here, since every DAG file builds these at parse time. `problems()` returns all broken rules.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from everloop.decide.space import Space

Overrides = dict[str, float | int | str]
"""XGBoost's parameters by its own names."""


def _unit(owner: str, name: str, value: float) -> list[str]:
    """A problem unless `value` lies in [0, 1]."""
    return [] if 0 <= value <= 1 else [f"{owner}.{name} is {value}: it must lie in [0, 1]"]


@dataclass(frozen=True, kw_only=True)
class CostMatrix:
    """What a wrong decision costs, in the business's own unit; right decisions cost nothing.

    `false_negative`: a positive that was let go; `false_positive`: an alarm for nothing. The decision threshold that
    minimises expected cost is `false_positive / (false_positive + false_negative)` (Elkan 2001, The Foundations of
    Cost-Sensitive Learning, eq. 2).
    """

    false_positive: float = 1.0
    false_negative: float = 1.0

    @property
    def threshold(self) -> float:
        """The probability from which deciding "positive" is the cheaper choice."""
        return self.false_positive / (self.false_positive + self.false_negative)

    def problems(self) -> list[str]:
        """Every broken rule, in words."""
        return [
            f"CostMatrix.{name} is {value}: a cost must be above 0"
            for name, value in (("false_positive", self.false_positive), ("false_negative", self.false_negative))
            if value <= 0
        ]


@dataclass(frozen=True, kw_only=True)
class TrainingPolicy:
    """How a model is fitted.

    `window`: how far back labelled rows are taken from the snapshot's end; `None` takes all.
    `validation`, `calibration`, `holdout`: the shares of the time-ordered rows after the fitting rows, oldest first:
    early stopping, calibration, and the later-in-time rows that the gate judges on.
    `parameters`: XGBoost's own names. `checkpoint_rounds`: after so many rounds the fit is saved and goes on from what was
    saved, whether it was killed or not. Random numbers start anew there, so it is part of what makes the model's bytes.

    Tuning fits `trials` variants for `tuning_rounds` each: first every one of `candidates` (overrides of `parameters`; none
    stands for the parameters as they are), then what the seeded search makes of the ranges in `search`, until `tuning_time`
    has passed. Without `search` the candidates are all there is.

    `memory_mb`: a set of more float32 values than this is fitted from pages on disk. The default keeps a worker of 8 GB at
    half: beside the values stand their bins (a quarter to a half of them), Arrow's batches and the libraries (0.5 GB).
    `workers`: Spark workers that fit together, when it is above 1; `spark_rows`: only from so many rows on.
    """

    window: timedelta | None = None
    validation: float = 0.10
    calibration: float = 0.10
    holdout: float = 0.15
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
        found = [p for n in ("validation", "calibration", "holdout") for p in _unit("TrainingPolicy", n, getattr(self, n))]
        if self.validation + self.calibration + self.holdout > 0.8:
            found.append("TrainingPolicy keeps more than 0.8 of the rows from fitting: lower validation, calibration or holdout")
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


@dataclass(frozen=True, kw_only=True)
class GatePolicy:
    """What a candidate must show before it may meet traffic.

    `confidence`: two-sided level of every interval. `auc_floor`, `ece_ceiling`: absolute limits, the only ones for a
    first release. `cost_margin` (a share of the champion's cost per row), `auc_margin`: non-inferiority margins against
    the champion (the candidate may be worse by this much, and no more, at the given confidence). `slice_margin`, also a
    share of the champion's cost: no slice with at least `slice_minimum` rows may be shown to be worse by more.
    `cost_margin` is that of the rollout; two alike models of the flights differ by 0 +- 1.3 % on 22,000 held-out rows, so a
    narrower margin asks for an improvement.
    `size_mb`: the model file's budget; the latency budget is judged in the real scorer (`RolloutPolicy.check_latency_ms`).
    """

    confidence: float = 0.95
    minimum_rows: int = 1_000
    auc_floor: float = 0.60
    ece_ceiling: float = 0.08
    cost_margin: float = 0.02
    auc_margin: float = 0.005
    slice_margin: float = 0.05
    slice_minimum: int = 300
    size_mb: float = 50.0

    def problems(self) -> list[str]:
        """Every broken rule, in words."""
        return _unit("GatePolicy", "confidence", self.confidence) + _unit("GatePolicy", "auc_floor", self.auc_floor)


@dataclass(frozen=True, kw_only=True)
class FairnessPolicy:
    """How groups of people, or of anything else, are compared.

    `columns`: group columns, which need not be features. `minimum`: groups with fewer rows are reported, not judged.
    `selection_ratio`: the four-fifths rule (29 CFR 1607.4 D), off by default. `*_difference`: largest allowed gap
    between a group and the whole.
    """

    columns: tuple[str, ...] = ()
    minimum: int = 200
    selection_ratio: float | None = None
    selection_difference: float | None = None
    error_rate_difference: float | None = 0.25


@dataclass(frozen=True, kw_only=True)
class RolloutPolicy:
    """How a challenger meets traffic, stage by stage.

    `steps`: the challenger's share of traffic, ascending, the last below or equal to 1; after the last comes promotion.
    Each stage lasts at least `minimum_time` and `minimum_requests` answered by the challenger (in shadow: scored by both).
    `shadow_share`: the share of requests that both arms score. `watch_labels`: ripened labels, scored by both, after which
    a promotion is final; `watch_time` is its shortest length. `patience`: an inconclusive stage pauses after this long.
    Guardrails: `error_rate_margin`, `latency_factor` (challenger's p99 against the champion's), `score_shift` (largest
    Jensen-Shannon distance between the arms' scores on the same requests), `cost_margin` (relative, on paired labels).
    `check_latency_ms`: p99 of scoring one row in the load check, before any traffic.
    `srm_alpha`: sample-ratio mismatch, chi-squared (Fabijan et al. 2019 use 0.0005 to 0.01; we take 0.001).
    """

    approval: bool = True
    steps: tuple[float, ...] = (0.01, 0.05, 0.25, 0.50, 1.0)
    minimum_time: timedelta = timedelta(minutes=10)
    minimum_requests: int = 500
    shadow_share: float = 0.2
    shadow_requests: int = 500
    watch_time: timedelta = timedelta(days=1)
    watch_labels: int = 1_000
    patience: timedelta = timedelta(days=2)
    poll: timedelta = timedelta(seconds=30)
    alpha: float = 0.05
    srm_alpha: float = 0.001
    error_rate_margin: float = 0.01
    latency_factor: float = 2.0
    latency_floor_ms: float = 20.0
    check_latency_ms: float = 100.0
    score_shift: float = 0.35
    cost_margin: float = 0.02
    minimum_labels: int = 200

    def problems(self) -> list[str]:
        """Every broken rule, in words."""
        found = _unit("RolloutPolicy", "shadow_share", self.shadow_share)
        if not self.steps or list(self.steps) != sorted(set(self.steps)) or not 0 < self.steps[0] <= self.steps[-1] <= 1:
            found.append(f"RolloutPolicy.steps is {self.steps}: shares must ascend within (0, 1]")
        return found


@dataclass(frozen=True, kw_only=True)
class DriftPolicy:
    """When the world counts as changed.

    `psi`: population stability index from which a column drifts; 0.25 is the customary "significant shift" (Siddiqi 2006,
    Credit Risk Scorecards, ch. 9). `share`: share of the watched columns that must drift, or the score itself, for
    a window to violate. `minimum_rows`: smaller windows are inconclusive. `ignore`: columns that follow the season.
    """

    psi: float = 0.25
    share: float = 0.3
    minimum_rows: int = 200
    ignore: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class RetrainPolicy:
    """When to train again: `k` of the last `n` windows violate and the latest does; or enough new labels; with a cooldown.

    `auc_drop`, `cost_rise`: how much worse than at release a window may be before it violates on performance.
    """

    k: int = 2
    n: int = 3
    auc_drop: float = 0.04
    cost_rise: float = 0.25
    new_labels: int | None = None
    cooldown: timedelta = timedelta(days=28)

    def problems(self) -> list[str]:
        """Every broken rule, in words."""
        return [] if 1 <= self.k <= self.n else [f"RetrainPolicy: k={self.k} of n={self.n}: 1 <= k <= n must hold"]


@dataclass(frozen=True, kw_only=True)
class ParityPolicy:
    """Served features against the point-in-time join.

    `sample`: rows replayed of each release and interval. `minimum_share`: the smallest share of them that must be equal in
    every feature, and that must have been served with the online store at hand. `tolerance`: of numbers, relative above 1.
    """

    sample: int = 500
    minimum_share: float = 0.99
    tolerance: float = 1e-9


@dataclass(frozen=True, kw_only=True)
class ServicePolicy:
    """What the scoring service promises and how it answers when something is missing.

    `on_missing_features`: "default" answers with the model's own missing-value path and flags it; "refuse" answers 422.
    """

    on_missing_features: str = "default"
    maximum_rows: int = 1_000
    maximum_bytes: int = 2_000_000
    maximum_in_flight: int = 64
    latency_ms: float = 100.0
    error_rate: float = 0.001

    def problems(self) -> list[str]:
        """Every broken rule, in words."""
        if self.on_missing_features in ("default", "refuse"):
            return []
        return [f'ServicePolicy.on_missing_features is "{self.on_missing_features}": use "default" or "refuse"']
