"""From served rows to the evidence of a rollout's stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from everloop.decide import fairness
from everloop.decide.policy import CostMatrix
from everloop.decide.release.evidence.arms import LATENCY_EDGES, Arm, Assigned, LoadCheck
from everloop.decide.release.evidence.columns import FIELD, Floats, Mask, Rows, failed, floats
from everloop.decide.release.evidence.gathered import Evidence
from everloop.decide.release.evidence.pairs import ExpectedCosts, PairedCosts, ScorePairs
from everloop.decide.release.state import ReleaseState, Stage
from everloop.decide.statistics.compare import costs, expected_costs
from everloop.errors import ConfigurationError
from everloop.flags import incomplete

COLUMNS = (
    "request_id", "entity", "at", "arm", "release", "score", "shadow_release", "shadow_score", "flags", "error", "latency_ms",
    "label",
)  # fmt: skip
"""The columns of `ports.TrafficLog` that `from_traffic` reads."""

SETTLE = timedelta(seconds=2)
"""The scoring processes follow a new weight within this time; assignments before that belong to the old weight."""


def from_traffic(
    rows: Rows,
    state: ReleaseState,
    *,
    cost: CostMatrix,
    thresholds: Mapping[str, float],
    groups: Sequence[str] = (),
    check: LoadCheck | None = None,
) -> Evidence:
    """The evidence of the stage that `state` is in, from all rows of its rollout (`COLUMNS`, as `TrafficLog.since` gives them).

    Errors and latency of the release on trial are those since the stage began. The other release's are from the same time
    where it answers, else (weight 1, watch) from the rollout before. Scores and labelled costs are paired row by row, so they
    count from the whole rollout. `thresholds`: decision threshold by release.
    `groups`: the group columns, each of them among the rows as `request.<column>`.
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
        groups={name: _grouped(rows, name, ours, candidate, thresholds) for name in groups},
        **_paired(rows, ours, candidate, baseline, cost, thresholds),
    )


def trial(state: ReleaseState) -> tuple[str | None, str | None]:
    """The release on trial and the one it is held against: in WATCH the new champion and the previous one."""
    return (state.champion, state.previous) if state.stage is Stage.WATCH else (state.challenger, state.champion)


def _arm(rows: Rows, mask: Mask) -> Arm:
    # Rows of one request share its latency: each request counts once.
    _, first = np.unique(np.asarray(rows["request_id"])[mask].astype(str), return_index=True)
    latency = floats(rows["latency_ms"])[mask][first]
    buckets = np.searchsorted(LATENCY_EDGES, latency[np.isfinite(latency)])
    return Arm(
        requests=int(mask.sum()),
        errors=int(failed(rows)[mask].sum()),
        incomplete=sum(map(incomplete, np.asarray(rows["flags"], dtype=object)[mask])),
        latency=tuple(np.bincount(buckets, minlength=len(LATENCY_EDGES) + 1).tolist()),
    )


def _assigned(entity: npt.NDArray[Any], at: npt.NDArray[np.datetime64], ours: Mask, settled: Mask) -> Assigned:
    latest = {entity[i]: bool(ours[i]) for i in np.argsort(at, stable=True) if settled[i]}
    return Assigned(candidate=sum(latest.values()), baseline=len(latest) - sum(latest.values()))


def _paired(
    rows: Rows, ours: Mask, candidate: str, baseline: str | None, cost: CostMatrix, thresholds: Mapping[str, float]
) -> dict[str, Any]:
    """The `pairs`, `costs` and `expected` costs of the rows that both releases had to score."""
    if baseline is None:
        return {}
    shadow, fine = np.asarray(rows["shadow_release"]), ~failed(rows)
    answer, other, labels = floats(rows["score"]), floats(rows["shadow_score"]), floats(rows["label"])
    offered = ~ours & (shadow == candidate) & fine & np.isfinite(answer)
    pair = (offered | (ours & (shadow == baseline) & fine & np.isfinite(answer))) & np.isfinite(other)
    new, old = np.where(ours, answer, other)[pair], np.where(ours, other, answer)[pair]
    decided = new >= _threshold(thresholds, candidate), old >= _threshold(thresholds, baseline)
    return {
        "pairs": ScorePairs.of(new, old, offered=int(offered.sum()), unscored=int((offered & ~pair).sum())),
        "costs": _labelled(labels[pair], decided, cost),
        "expected": ExpectedCosts.of(*(expected_costs((new + old) / 2, decision, cost) for decision in decided)),
    }


def _grouped(
    rows: Rows, column: str, ours: Mask, candidate: str, thresholds: Mapping[str, float]
) -> dict[str, fairness.GroupCounts]:
    """By group, what the candidate decided or would have, for the rows that it scored."""
    beside = np.asarray(rows["shadow_release"]) == candidate
    scores = np.where(ours, floats(rows["score"]), np.where(beside, floats(rows["shadow_score"]), np.nan))
    scored = np.isfinite(scores)
    values = np.asarray(rows[f"{FIELD}{column}"], dtype=object)[scored].tolist()
    return fairness.count(values, scores[scored] >= _threshold(thresholds, candidate), floats(rows["label"])[scored])


def _labelled(labels: Floats, decided: tuple[Mask, Mask], cost: CostMatrix) -> PairedCosts:
    known = np.isfinite(labels)
    truth = labels[known] == 1
    new, old = (costs(truth, decision[known], cost) for decision in decided)
    return PairedCosts.of(new, old, largest=max(cost.false_negative, cost.false_positive))


def _threshold(thresholds: Mapping[str, float], release: str) -> float:
    if release not in thresholds:
        raise ConfigurationError(
            f'No decision threshold of release "{release}" was given (given: {sorted(thresholds)}): take it from its manifest'
        )
    return thresholds[release]


def _moments(values: Sequence[datetime] | npt.NDArray[Any]) -> npt.NDArray[np.datetime64]:
    """As UTC datetime64; arrays of datetime64 are taken to be UTC already."""
    if isinstance(values, np.ndarray) and values.dtype.kind == "M":
        return values.astype("datetime64[us]")
    return np.array([_moment(value) for value in values])


def _moment(value: datetime) -> np.datetime64:
    return np.datetime64(value.astimezone(UTC).replace(tzinfo=None))
