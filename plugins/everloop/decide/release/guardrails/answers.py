"""Whether the release on trial answers as well as the other one: at all, without errors, with its features, in time."""

from __future__ import annotations

import math

from everloop.decide.policy import RolloutPolicy
from everloop.decide.release.evidence import Arm, LoadCheck, ScorePairs
from everloop.decide.statistics.intervals import Range, rate_sequence
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
    """Share of answers with an error, against the other release's."""
    counts = (candidate.errors, baseline.errors)
    return _rate("rollout.errors", "errors", counts, (candidate, baseline), policy.error_rate_margin, policy, alpha)


def missing_features(candidate: Arm, baseline: Arm, policy: RolloutPolicy, alpha: float) -> Reason:
    """Share of answers for which some feature view gave nothing fresh, against the other release's."""
    counts = (candidate.incomplete, baseline.incomplete)
    return _rate("rollout.missing", "missing features", counts, (candidate, baseline), policy.missing_margin, policy, alpha)


def _rate(
    check: str, what: str, counts: tuple[int, int], arms: tuple[Arm, Arm], margin: float, policy: RolloutPolicy, alpha: float
) -> Reason:
    """A rate of the candidate's answers against the baseline's; against none at all where that one never answered."""
    (bad, other_bad), (candidate, baseline) = counts, arms
    ours = rate_sequence(bad, candidate.requests, alpha / 2)
    theirs = rate_sequence(other_bad, baseline.requests, alpha / 2) if baseline.requests else Range(0.0, 0.0)
    rate, other = _share(bad, candidate.requests), _share(other_bad, baseline.requests)
    numbers = {
        "count": bad, "requests": candidate.requests, "baseline_count": other_bad, "baseline_requests": baseline.requests,
        "difference": rate - other, "low": ours.low - theirs.high, "high": ours.high - theirs.low, "margin": margin,
    }  # fmt: skip
    text = f"{what} in {rate:.2%} of {candidate.requests} answers against {other:.2%} of {baseline.requests}"
    if numbers["low"] > margin:
        return Reason(check, FAIL, f"{text}: at least {numbers['low']:.2%} more, {margin:.2%} allowed", numbers)
    good = candidate.requests >= max(1, policy.minimum_requests) and rate - other <= margin
    return Reason(check, PASS if good else INCONCLUSIVE, text, numbers)


def shadow_errors(pairs: ScorePairs, policy: RolloutPolicy, alpha: float) -> Reason:
    """Share of rows that the release on trial could not score although the answering one could."""
    rate, sequence = _share(pairs.unscored, pairs.offered), rate_sequence(pairs.unscored, pairs.offered, alpha)
    numbers = {"unscored": pairs.unscored, "offered": pairs.offered, "low": sequence.low, "margin": policy.error_rate_margin}
    text = f"{pairs.unscored} of {pairs.offered} rows could not be scored in the shadow"
    if sequence.low > policy.error_rate_margin:
        return Reason("rollout.shadow_errors", FAIL, f"{text}, {policy.error_rate_margin:.2%} allowed", numbers)
    good = pairs.offered >= max(1, policy.shadow_requests) and rate <= policy.error_rate_margin
    return Reason("rollout.shadow_errors", PASS if good else INCONCLUSIVE, text, numbers)


def latency(candidate: Arm, baseline: Arm, policy: RolloutPolicy, alpha: float) -> Reason:
    """The p99 against `latency_factor` times the other release's p99, or the floor where that is higher.

    Fails when the least that it can be lies above the most that the limit can be, by the quantiles' confidence sequences.
    """
    p99, other = candidate.quantile(SHARE), baseline.quantile(SHARE)
    if math.isnan(p99):
        return Reason("rollout.latency", INCONCLUSIVE, "no request was timed yet", {"timed": 0})
    ours, theirs = (arm.quantile_sequence(SHARE, alpha / 2) for arm in (candidate, baseline))
    limit, most = (
        max(policy.latency_floor_ms, policy.latency_factor * value) if baseline.timed else policy.latency_floor_ms
        for value in (other, theirs.high)
    )
    numbers = {
        "p99_ms": p99, "low_ms": ours.low, "baseline_p99_ms": other if baseline.timed else None,
        "baseline_high_ms": theirs.high if baseline.timed else None, "limit_ms": limit, "timed": candidate.timed,
    }  # fmt: skip
    against = f"against {other:.1f} ms" if baseline.timed else "with nothing to hold it against"
    text = f"p99 latency {p99:.1f} ms of {candidate.timed} requests {against}, limit {limit:.1f} ms"
    if ours.low > most:
        return Reason("rollout.latency", FAIL, text, numbers)
    good = p99 <= limit and candidate.requests >= max(1, policy.minimum_requests)
    return Reason("rollout.latency", PASS if good else INCONCLUSIVE, text, numbers)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
