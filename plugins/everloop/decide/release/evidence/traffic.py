"""From served rows to the evidence of a rollout's stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from everloop.decide import fairness
from everloop.decide.policy import CostMatrix
from everloop.decide.release.evidence.arms import Assigned, LoadCheck
from everloop.decide.release.evidence.columns import CHALLENGER, FIELD, Codes, Floats, Mask, Rows, floats
from everloop.decide.release.evidence.gathered import Evidence
from everloop.decide.release.evidence.pairs import DecisionPairs, ExpectedCosts, PairedCosts
from everloop.decide.release.evidence.served import Served
from everloop.decide.release.evidence.views import OwnViews, Views
from everloop.decide.release.state import ReleaseState, Stage
from everloop.decide.statistics.clusters import DAY, Clusters, blocks
from everloop.decide.statistics.compare import costs, expected_costs
from everloop.decide.statistics.concordance import disordered
from everloop.errors import ConfigurationError

COLUMNS = (
    "request_id", "entity", "at", "as_of", "arm", "release", "score", "shadow_release", "shadow_score", "flags", "error",
    "latency_ms", "label",
)  # fmt: skip
"""The columns of `ports.TrafficLog` that `from_traffic` reads."""

BATCHES = 20
"""Into how many batches of time a stage is divided that no other release answers beside (Schmeiser 1982, Batch size effects in
the
analysis of simulation output, Operations Research 30(3): 10 to 30 are enough, and more gain little)."""

SHADOWED = timedelta(seconds=10)
"""How long after an answer the log may not have what the other release makes of the row: it is scored and shipped within a second
(ours, with room for a queue)."""

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
    views: Mapping[str, Views] | None = None,
    block: timedelta = DAY,
) -> Evidence:
    """The evidence of the stage that `state` is in, from all rows of its rollout (`COLUMNS`, as `TrafficLog.since` gives them).

    Errors and latency of the release on trial are those since the stage began. The other release's are from the same time where
    it answers, else (weight 1, watch) from the rollout before. Scores and labelled costs are paired row by row, so they count
    from the whole rollout. Where both do not answer at the same time, batches of time are units too, since a burst of errors then
    meets one of them alone. In the watch the other release is asked after the answer, so an error counts when it is known
    whether that one could do better, or after `SHADOWED`. Entities, and for costs `block`s of data time too, are the units.
    `thresholds`: decision threshold by release. `groups`: the group columns, each of them among the rows as `request.<column>`.
    `views`: by release, the feature views that it reads; what both read cannot differ, so only the others count as missing.
    """
    candidate, baseline = trial(state)
    if candidate is None or not len(rows["at"]):
        return Evidence(check=check)
    at, arm, release = moments(rows["at"]), np.asarray(rows["arm"]), np.asarray(rows["release"])
    recent = at >= _moment(state.since) if state.since else np.ones(len(at), dtype=bool)
    ours = (arm == CHALLENGER) | (release == candidate)
    beside = state.stage is not Stage.WATCH and state.weight < 1
    theirs = ~ours & recent if beside else ~ours
    batch = None if beside or state.since is None else _batches(at, _moment(state.since))
    settled = at >= _moment(state.since + SETTLE) if state.since else recent
    served = Served.of(rows, ours, (arm != CHALLENGER) & (at > at.max() - np.timedelta64(SHADOWED)))
    own = OwnViews.of(views, candidate, baseline)
    slow = served.slow((ours & recent) | theirs)
    return Evidence(
        check=check,
        traffic=int(recent.sum()),
        candidate=served.arm(ours & recent, own.candidate, slow, batch),
        baseline=served.arm(theirs, own.baseline, slow, batch),
        assigned=_assigned(served.entity, at, ours, settled) if state.stage is Stage.CANARY else Assigned(),
        groups={name: _grouped(rows, served, name, ours, candidate, thresholds) for name in groups},
        same_views=own.none,
        **_paired(rows, at, served, ours, candidate, baseline, cost, thresholds, block),
    )


def trial(state: ReleaseState) -> tuple[str | None, str | None]:
    """The release on trial and the one it is held against: in WATCH the new champion and the previous one."""
    return (state.champion, state.previous) if state.stage is Stage.WATCH else (state.challenger, state.champion)


def _batches(at: npt.NDArray[np.datetime64], since: np.datetime64) -> Codes:
    """The batch of time of each row: a stage's time so far is divided into `BATCHES`, what was before into as long ones."""
    passed = (at - since).astype(np.int64)
    width = -(-int(passed.max(initial=0) + 1) // BATCHES)
    # Numbered anew: what was before a stage that has just begun is many batches, few of which have a row.
    batch: Codes = np.unique(np.floor_divide(passed, max(1, width)), return_inverse=True)[1].astype(np.intp)
    return batch


def _assigned(entity: Codes, at: npt.NDArray[np.datetime64], ours: Mask, settled: Mask) -> Assigned:
    """Entities by the arm that answered them last."""
    latest = np.full(int(entity.max()) + 1, -1)
    order = np.argsort(at, kind="stable")
    order = order[settled[order]]
    latest[entity[order]] = ours[order]
    return Assigned(candidate=int((latest == 1).sum()), baseline=int((latest == 0).sum()))


def _paired(
    rows: Rows,
    at: npt.NDArray[np.datetime64],
    served: Served,
    ours: Mask,
    candidate: str,
    baseline: str | None,
    cost: CostMatrix,
    thresholds: Mapping[str, float],
    block: timedelta,
) -> dict[str, Any]:
    """The `pairs`, `costs` and `expected` costs of the rows that both releases had to score."""
    if baseline is None:
        return {}
    shadow, fine = np.asarray(rows["shadow_release"]), ~served.failed
    answer, other, labels = floats(rows["score"]), floats(rows["shadow_score"]), floats(rows["label"])
    offered = ~ours & (shadow == candidate) & fine & np.isfinite(answer)
    pair = (offered | (ours & (shadow == baseline) & fine & np.isfinite(answer))) & np.isfinite(other)
    new, old = np.where(ours, answer, other)[pair], np.where(ours, other, answer)[pair]
    in_time = np.argsort(at[pair], kind="stable")
    decided = new >= _threshold(thresholds, candidate), old >= _threshold(thresholds, baseline)
    units = {"entities": served.entity[pair], "blocks": blocks(moments(rows["as_of"])[pair], block)}
    expected = [expected_costs((new + old) / 2, decision, cost) for decision in decided]
    return {
        "pairs": DecisionPairs(
            different=Clusters.counted(served.entity[pair], decided[0] != decided[1]),
            disordered=disordered(new[in_time], old[in_time], served.entity[pair][in_time]),
            unscored=Clusters.counted(served.entity[offered], ~pair[offered]),
        ),
        "costs": _labelled(labels[pair], decided, cost, units),
        "expected": ExpectedCosts.of(*expected, **units),
    }


def _grouped(
    rows: Rows, served: Served, column: str, ours: Mask, candidate: str, thresholds: Mapping[str, float]
) -> dict[str, fairness.GroupCounts]:
    """By group, what the candidate decided or would have, for the rows that it scored."""
    beside = (np.asarray(rows["shadow_release"]) == candidate) & ~served.failed
    scores = np.where(ours, floats(rows["score"]), np.where(beside, floats(rows["shadow_score"]), np.nan))
    scored = np.isfinite(scores)
    values = np.asarray(rows[f"{FIELD}{column}"], dtype=object)[scored].tolist()
    return fairness.count(
        values, scores[scored] >= _threshold(thresholds, candidate), floats(rows["label"])[scored], served.entity[scored]
    )


def _labelled(labels: Floats, decided: tuple[Mask, Mask], cost: CostMatrix, units: Mapping[str, Codes]) -> PairedCosts:
    known = np.isfinite(labels)
    truth = labels[known] == 1
    new, old = (costs(truth, decision[known], cost) for decision in decided)
    of_known = {name: codes[known] for name, codes in units.items()}
    return PairedCosts.of(new, old, largest=max(cost.false_negative, cost.false_positive), **of_known)


def _threshold(thresholds: Mapping[str, float], release: str) -> float:
    if release not in thresholds:
        raise ConfigurationError(
            f'No decision threshold of release "{release}" was given (given: {sorted(thresholds)}): take it from its manifest'
        )
    return thresholds[release]


def moments(values: Sequence[datetime] | npt.NDArray[Any]) -> npt.NDArray[np.datetime64]:
    """As UTC datetime64; arrays of datetime64 are taken to be UTC already."""
    if isinstance(values, np.ndarray) and values.dtype.kind == "M":
        return values.astype("datetime64[us]")
    return np.array([_moment(value) for value in values], dtype="datetime64[us]")


def _moment(value: datetime) -> np.datetime64:
    return np.datetime64(value.astimezone(UTC).replace(tzinfo=None))
