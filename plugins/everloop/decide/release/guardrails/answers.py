"""Whether the release on trial answers as well as the other one: at all, without errors, with its features, in time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from everloop.decide.policy import RolloutPolicy
from everloop.decide.release.evidence import Arm, ByUnit, DecisionPairs, LoadCheck
from everloop.decide.statistics import excess
from everloop.decide.statistics.clusters import Clusters, cautious_effects
from everloop.decide.statistics.intervals import rate_sequence
from everloop.decide.verdict import Outcome, Reason

PASS, FAIL, INCONCLUSIVE, ERROR = Outcome.PASS, Outcome.FAIL, Outcome.INCONCLUSIVE, Outcome.ERROR
SHARE = 0.99
"""The latency that is judged is the one that this share of the requests stay under: the customary tail of a service level
(Dean & Barroso 2013, The tail at scale, CACM 56(2))."""


def load_check(check: LoadCheck | None, policy: RolloutPolicy) -> Reason:
    """Whether the real scorer loaded the release and gave a probability for every row, in time."""
    name = "rollout.check"
    if check is None:
        return Reason(name, INCONCLUSIVE, "the scorer has not been asked to load the release yet")
    if check.refused is not None:
        return Reason(name, FAIL, f"the scorer does not serve the release: {check.refused}")
    if check.unreachable is not None:
        return Reason(name, ERROR, f"the scorer could not be asked: {check.unreachable}")
    numbers = {"rows": check.rows, "unusable": check.unusable, "latency_ms": check.latency_ms}
    if check.unusable:
        return Reason(name, FAIL, f"{check.unusable} of {check.rows} scores were no probability", numbers)
    if not check.rows:
        return Reason(name, INCONCLUSIVE, "the release loads, but no row was there to score", numbers)
    if check.latency_ms is not None and check.latency_ms > policy.check_latency_ms:
        slow = f"the scorer took {check.latency_ms:.1f} ms for a row (p99), budget {policy.check_latency_ms:g} ms"
        return Reason(name, FAIL, slow, numbers)
    return Reason(name, PASS, f"the scorer loads the release and scored {check.rows} rows", numbers)


def error_rate(candidate: Arm, baseline: Arm, policy: RolloutPolicy, alpha: float) -> Reason:
    """Share of answers with an error that the other release would not have made, against the reverse. Entities are the units.

    Rows that neither release can answer make neither worse, as in McNemar's test (1947, Note on the sampling error of the
    difference between correlated proportions or percentages, Psychometrika 12(2)): they are no trials, and how they move together
    hides nothing.
    """
    counts = (candidate.errors, candidate.comparable), (baseline.errors, baseline.comparable)
    units = [(ours.errors, theirs.errors) for ours, theirs in _units(candidate, baseline)]
    left_out = candidate.shared_errors, baseline.shared_errors
    return _rate(_ERRORS, counts, units, policy.error_rate_margin, policy.minimum_requests, policy, alpha, left_out)


def missing_features(candidate: Arm, baseline: Arm, policy: RolloutPolicy, alpha: float, *, same_views: bool = False) -> Reason:
    """Share of answers for which some feature view gave nothing fresh, against the other release's.

    What both read is the same for both (`same_views`: all of it), so it is no evidence. Entities are the units.
    """
    if same_views:
        text = "both releases read the same feature views, so what is missing is missing for both"
        return Reason(_MISSING.check, PASS if candidate.requests else INCONCLUSIVE, text, {"requests": candidate.requests})
    counts = (candidate.incomplete, candidate.requests), (baseline.incomplete, baseline.requests)
    units = [(ours.missing, theirs.missing) for ours, theirs in _units(candidate, baseline)]
    return _rate(_MISSING, counts, units, policy.missing_margin, policy.minimum_requests, policy, alpha)


def shadow_errors(pairs: DecisionPairs, baseline: Arm, policy: RolloutPolicy, alpha: float) -> Reason:
    """Share of rows that the release on trial could not score although the answering one could, against the reverse.

    Rows that neither can score are no trials of either. The rows offered are a sample of good answers; to be trials like those of
    the answering release they need as large a share of its errors, in which the one on trial has none.
    """
    good = baseline.comparable - baseline.errors
    trials = round(pairs.offered * baseline.comparable / good) if good else pairs.offered
    counts = (int(pairs.unscored.hits), trials), (baseline.errors, baseline.comparable)
    units, left_out = [(pairs.unscored, baseline.by_entity.errors)], (0, baseline.shared_errors)
    return _rate(_SHADOW, counts, units, policy.error_rate_margin, policy.shadow_requests, policy, alpha, left_out)


_NONE = (0.0, 0.0)
"""A side without a trial."""


class _Rate(NamedTuple):
    """A rate that is judged: the name of its check, and how a sentence begins and goes on."""

    check: str
    what: str
    of: str


_ERRORS = _Rate("rollout.errors", "errors", "answers")
_MISSING = _Rate("rollout.missing", "missing features", "answers")
_SHADOW = _Rate("rollout.shadow_errors", "errors in the shadow", "rows")


def _rate(
    rate: _Rate,
    counts: tuple[tuple[int, int], tuple[int, int]],
    units: Sequence[tuple[Clusters, Clusters]],
    margin: float,
    wanted: int,
    policy: RolloutPolicy,
    alpha: float,
    left_out: tuple[int, int] = (0, 0),
) -> Reason:
    """A rate of the candidate against the baseline's, each `(hits, trials)`.

    Fails where both hold, at any look: it is shown to be higher (wrongly with chance `alpha` at most), and higher by more than
    the margin (at `policy.margin_alpha`, the chance for a release that lies right on the margin). Without a trial of the baseline
    there is nothing to be higher than: fails where the rate itself is shown to lie above the margin, at `alpha`. Passes with
    `wanted` trials unless one look alone says more than the margin at `policy.margin_alpha`. `left_out`: rows of either side that
    are no trials, which is told.
    """
    ours, theirs = (_fewer(one, effect) for one, effect in zip(counts, _effects(units), strict=True))
    if theirs[1]:
        low, evidence = excess.at_least(ours, theirs, policy.margin_alpha, max(2, wanted)), excess.log_evidence(ours, theirs)
    else:
        low, evidence = rate_sequence(*ours, alpha).low, -math.log(alpha)
    (bad, trials), (other_bad, other_trials) = counts
    numbers = {
        "count": bad, "requests": trials, "baseline_count": other_bad, "baseline_requests": other_trials,
        "difference": _share(*counts[0]) - _share(*counts[1]), "low": low, "margin": margin,
        "log_evidence": evidence, "alpha": alpha, "effective_requests": ours[1],
        "effective_baseline_requests": theirs[1],
    }  # fmt: skip
    text = f"{rate.what} in {_share(*counts[0]):.2%} of {trials} {rate.of} against {_share(*counts[1]):.2%} of {other_trials}"
    if any(left_out):
        numbers |= {"left_out": left_out[0], "baseline_left_out": left_out[1]}
        text = f"{text}, not counting {sum(left_out)} that neither release is known to answer"
    doubted = excess.exceeds(ours, theirs, margin, policy.margin_alpha)
    if evidence >= -math.log(alpha) and low > margin:
        return Reason(rate.check, FAIL, f"{text}: at least {low:.2%} more, {margin:.2%} allowed", numbers)
    return Reason(rate.check, PASS if trials >= max(1, wanted) and not doubted else INCONCLUSIVE, text, numbers)


def latency(candidate: Arm, baseline: Arm, policy: RolloutPolicy, alpha: float) -> Reason:
    """The p99 against `latency_factor` times the other release's p99, or the floor where that is higher. Entities are the units.

    Fails when the least that it can be lies above the most that the limit can be, by the quantiles' confidence sequences. Passes
    with the required requests, all of them timed, unless one look alone says at `policy.margin_alpha` that more exceed the limit
    than may.
    """
    p99, other = candidate.quantile(SHARE), baseline.quantile(SHARE)
    if math.isnan(p99):
        return Reason("rollout.latency", INCONCLUSIVE, "no request was timed yet", {"timed": 0})
    effects = _effects([(ours.slow, theirs.slow) for ours, theirs in _units(candidate, baseline)])
    ours, theirs = (
        arm.quantile_sequence(SHARE, alpha / 2, effect) for arm, effect in zip((candidate, baseline), effects, strict=True)
    )
    low, most, limit = ours.low, _latency_limit(theirs.high, baseline, policy), _latency_limit(other, baseline, policy)
    numbers = {
        "p99_ms": p99, "low_ms": low, "baseline_p99_ms": other if baseline.timed else None, "limit_ms": limit,
        "limit_high_ms": most, "timed": candidate.timed,
    }  # fmt: skip
    against = f"against {other:.1f} ms" if baseline.timed else "with nothing to hold it against"
    text = f"p99 latency {p99:.1f} ms of {candidate.timed} requests {against}, limit {limit:.1f} ms"
    if low > most:
        return Reason("rollout.latency", FAIL, text, numbers)
    slower = _fewer((candidate.slower(limit), candidate.timed), effects[0])
    doubted = excess.exceeds(slower, _NONE, 1 - SHARE, policy.margin_alpha)
    good = candidate.timed >= max(1, policy.minimum_requests) and not doubted
    return Reason("rollout.latency", PASS if good else INCONCLUSIVE, text, numbers)


def _latency_limit(p99: float, baseline: Arm, policy: RolloutPolicy) -> float:
    return max(policy.latency_floor_ms, policy.latency_factor * p99) if baseline.timed else policy.latency_floor_ms


def _units(candidate: Arm, baseline: Arm) -> tuple[tuple[ByUnit, ByUnit], tuple[ByUnit, ByUnit]]:
    """The units of both arms: their entities, and their batches of time."""
    return (candidate.by_entity, baseline.by_entity), (candidate.by_batch, baseline.by_batch)


def _effects(units: Sequence[tuple[Clusters, Clusters]]) -> tuple[float, float]:
    """Each arm's design effect: the larger one of all kinds of units, with what rows of a unit have in common in both arms."""
    found = [cautious_effects(arms) for arms in units]
    return max(one for one, _ in found), max(one for _, one in found)


def _fewer(counts: tuple[int, int], effect: float) -> tuple[float, float]:
    return counts[0] / effect, counts[1] / effect


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
