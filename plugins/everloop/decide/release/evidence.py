"""What traffic shows of a release on trial: counts that are enough to judge it, made from arrays of served rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from everloop.decide.parity_verdict import NOTHING_MEASURED, Standings
from everloop.decide.policy import CostMatrix
from everloop.decide.release.state import ReleaseState, Stage
from everloop.decide.statistics.compare import costs
from everloop.errors import ConfigurationError

Rows = Mapping[str, "Sequence[Any] | npt.NDArray[Any]"]
Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

COLUMNS = (
    "request_id", "entity", "at", "arm", "release", "score", "shadow_release", "shadow_score", "error", "latency_ms", "label",
)  # fmt: skip
"""The columns of `ports.TrafficLog` that `from_traffic` reads."""

LATENCY_EDGES = np.geomspace(0.1, 60_000, 256)
"""Upper ends of the latency buckets in milliseconds, 5% apart, so that a quantile is right to 5%."""

SCORE_EDGES = np.linspace(0, 1, 21)[1:-1]
"""Inner cut points of twenty equal score bins."""

SETTLE = timedelta(seconds=2)
"""The scoring processes follow a new weight within this time; assignments before that belong to the old weight."""


@dataclass(frozen=True, kw_only=True)
class LoadCheck:
    """What the real scorer said when it loaded the release and scored `rows` rows, `unusable` of them not within [0, 1].

    `refused`: its words when it did not load or answer, which speaks against the release. `unreachable`: why nobody
    could be asked, which says nothing of the release.
    """

    rows: int = 0
    unusable: int = 0
    latency_ms: float | None = None
    refused: str | None = None
    unreachable: str | None = None

    @classmethod
    def of(cls, scores: Sequence[float | None], latency_ms: float | None = None) -> LoadCheck:
        """From the scores that came back, null for a row without one."""
        values = _floats(scores)
        return cls(rows=len(values), unusable=int(np.sum(~((values >= 0) & (values <= 1)))), latency_ms=latency_ms)


@dataclass(frozen=True, kw_only=True)
class Arm:
    """Rows that a release answered: all, and those with an error; `latency` counts requests by `LATENCY_EDGES`."""

    requests: int = 0
    errors: int = 0
    latency: tuple[int, ...] = (0,) * (len(LATENCY_EDGES) + 1)

    @property
    def timed(self) -> int:
        """Requests whose latency is known."""
        return sum(self.latency)

    def quantile(self, share: float) -> float:
        """The latency (ms) that `share` of the requests stay at or under: the upper end of its bucket. NaN without requests."""
        if not self.timed:
            return float("nan")
        bucket = int(np.searchsorted(np.cumsum(self.latency), share * self.timed - 1e-9))
        return float(LATENCY_EDGES[min(bucket, len(LATENCY_EDGES) - 1)])

    def slower(self, than_ms: float) -> int:
        """Requests in the buckets wholly above `than_ms`."""
        return int(sum(self.latency[int(np.searchsorted(LATENCY_EDGES, than_ms, side="left")) + 1 :]))


@dataclass(frozen=True, kw_only=True)
class ScorePairs:
    """Scores of both releases on the same rows, counted by `SCORE_EDGES`.

    `offered`: rows that the release on trial had to score in the shadow of a good answer; `unscored`: those it could not.
    """

    candidate: tuple[int, ...] = (0,) * (len(SCORE_EDGES) + 1)
    baseline: tuple[int, ...] = (0,) * (len(SCORE_EDGES) + 1)
    offered: int = 0
    unscored: int = 0

    @property
    def count(self) -> int:
        """Rows that both releases scored."""
        return sum(self.candidate)

    @classmethod
    def of(cls, candidate: Floats, baseline: Floats, *, offered: int = 0, unscored: int = 0) -> ScorePairs:
        """From the scores of both releases on the same rows, shape (n,) each."""
        return cls(
            candidate=_counts(candidate, SCORE_EDGES),
            baseline=_counts(baseline, SCORE_EDGES),
            offered=offered,
            unscored=unscored,
        )


@dataclass(frozen=True, kw_only=True)
class PairedCosts:
    """Cost per row of both releases' decisions on the same labelled rows: moments that any comparison can be made of."""

    count: int = 0
    candidate: float = 0.0
    baseline: float = 0.0
    candidate_variance: float = 0.0
    baseline_variance: float = 0.0
    covariance: float = 0.0

    @classmethod
    def of(cls, candidate: Floats, baseline: Floats) -> PairedCosts:
        """From the cost of each row under both decisions, shape (n,) each."""
        if not len(candidate):
            return cls()
        moments = np.cov(candidate, baseline) if len(candidate) > 1 else np.zeros((2, 2))
        return cls(
            count=len(candidate),
            candidate=float(candidate.mean()),
            baseline=float(baseline.mean()),
            candidate_variance=float(moments[0, 0]),
            baseline_variance=float(moments[1, 1]),
            covariance=float(moments[0, 1]),
        )


@dataclass(frozen=True, kw_only=True)
class Assigned:
    """Distinct entities that each arm answered since the weight took effect: the unit that is assigned, so the one to count."""

    candidate: int = 0
    baseline: int = 0


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """All that `rollout.advance` looks at. `traffic`: rows that any release answered in this stage."""

    check: LoadCheck | None = None
    traffic: int = 0
    candidate: Arm = Arm()
    baseline: Arm = Arm()
    pairs: ScorePairs = ScorePairs()
    costs: PairedCosts = PairedCosts()
    assigned: Assigned = Assigned()
    parity: Standings = NOTHING_MEASURED


def from_traffic(
    rows: Rows, state: ReleaseState, *, cost: CostMatrix, thresholds: Mapping[str, float], check: LoadCheck | None = None
) -> Evidence:
    """The evidence of the stage that `state` is in, from all rows of its rollout (`COLUMNS`, as `TrafficLog.since` gives them).

    Errors and latency of the release on trial are those since the stage began. The other release's are from the same time
    where it answers, else (weight 1, watch) from the rollout before. Scores and labelled costs are paired row by row, so they
    count from the whole rollout. `thresholds`: decision threshold by release.
    """
    candidate, baseline = trial(state)
    if candidate is None or not len(rows["at"]):
        return Evidence(check=check)
    at, arm, release = _moments(rows["at"]), np.asarray(rows["arm"]), np.asarray(rows["release"])
    recent = at >= _moment(state.since) if state.since else np.ones(len(at), dtype=bool)
    ours = (arm == "challenger") | (release == candidate)
    theirs = ~ours & recent if state.stage is not Stage.WATCH and state.weight < 1 else ~ours
    settled = at >= _moment(state.since + SETTLE) if state.since else recent
    return Evidence(
        check=check,
        traffic=int(recent.sum()),
        candidate=_arm(rows, ours & recent),
        baseline=_arm(rows, theirs),
        assigned=_assigned(np.asarray(rows["entity"]), at, ours, settled) if state.stage is Stage.CANARY else Assigned(),
        **_paired(rows, ours, candidate, baseline, cost, thresholds),
    )


def trial(state: ReleaseState) -> tuple[str | None, str | None]:
    """The release on trial and the one it is held against: in WATCH the new champion and the previous one."""
    return (state.champion, state.previous) if state.stage is Stage.WATCH else (state.challenger, state.champion)


def _arm(rows: Rows, mask: Mask) -> Arm:
    failed = np.array([error is not None for error in rows["error"]], dtype=bool)
    # Rows of one request share its latency: each request counts once.
    _, first = np.unique(np.asarray(rows["request_id"])[mask].astype(str), return_index=True)
    latency = _floats(rows["latency_ms"])[mask][first]
    counts = _counts(latency[np.isfinite(latency)], LATENCY_EDGES)
    return Arm(requests=int(mask.sum()), errors=int((mask & failed).sum()), latency=counts)


def _assigned(entity: npt.NDArray[Any], at: npt.NDArray[np.datetime64], ours: Mask, settled: Mask) -> Assigned:
    latest = {entity[i]: bool(ours[i]) for i in np.argsort(at, kind="stable") if settled[i]}
    return Assigned(candidate=sum(latest.values()), baseline=len(latest) - sum(latest.values()))


def _paired(
    rows: Rows, ours: Mask, candidate: str, baseline: str | None, cost: CostMatrix, thresholds: Mapping[str, float]
) -> dict[str, Any]:
    """The `pairs` and `costs` of the rows that both releases had to score."""
    if baseline is None:
        return {}
    shadow, fine = np.asarray(rows["shadow_release"]), np.array([error is None for error in rows["error"]], dtype=bool)
    answer, other, labels = _floats(rows["score"]), _floats(rows["shadow_score"]), _floats(rows["label"])
    offered = ~ours & (shadow == candidate) & fine & np.isfinite(answer)
    pair = (offered | (ours & (shadow == baseline) & fine & np.isfinite(answer))) & np.isfinite(other)
    new, old = np.where(ours, answer, other)[pair], np.where(ours, other, answer)[pair]
    known = np.isfinite(labels[pair])
    truth = labels[pair][known] > 0.5
    return {
        "pairs": ScorePairs.of(new, old, offered=int(offered.sum()), unscored=int((offered & ~pair).sum())),
        "costs": PairedCosts.of(
            costs(truth, new[known] >= _threshold(thresholds, candidate), cost),
            costs(truth, old[known] >= _threshold(thresholds, baseline), cost),
        ),
    }


def _threshold(thresholds: Mapping[str, float], release: str) -> float:
    if release not in thresholds:
        raise ConfigurationError(
            f'No decision threshold of release "{release}" was given (given: {sorted(thresholds)}): take it from its manifest'
        )
    return thresholds[release]


def _counts(values: Floats, edges: Floats) -> tuple[int, ...]:
    return tuple(np.bincount(np.searchsorted(edges, values, side="left"), minlength=len(edges) + 1).tolist())


def _floats(values: Sequence[Any] | npt.NDArray[Any]) -> Floats:
    """As floats, null as NaN."""
    if isinstance(values, np.ndarray) and values.dtype != object:
        return values.astype(np.float64)
    return np.array([np.nan if value is None else float(value) for value in values], dtype=np.float64)


def _moments(values: Sequence[datetime] | npt.NDArray[Any]) -> npt.NDArray[np.datetime64]:
    """As UTC datetime64; arrays of datetime64 are taken to be UTC already."""
    if isinstance(values, np.ndarray) and values.dtype.kind == "M":
        return values.astype("datetime64[us]")
    return np.array([_moment(value) for value in values], dtype="datetime64[us]")


def _moment(value: datetime) -> np.datetime64:
    return np.datetime64(value.astimezone(UTC).replace(tzinfo=None), "us")
