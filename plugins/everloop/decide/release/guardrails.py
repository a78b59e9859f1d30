"""The metrics that must not regress while a release is on trial, each judged so that looking often costs nothing.

A guardrail fails when its always-valid interval shows harm beyond the allowed margin. It passes when the required sample is
there and the estimate lies within the margin; in between it is inconclusive, and time brings more rows. Each takes `alpha`,
the chance that it fails, at any of its looks, a release that is as good as the one it is held against.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.stats import chi2, chisquare

from everloop.decide.policy import RolloutPolicy
from everloop.decide.release.evidence import Arm, Assigned, LoadCheck, PairedCosts, ScorePairs
from everloop.decide.statistics.intervals import Range, mean_sequence, rate_sequence, split_evidence
from everloop.decide.verdict import Outcome, Reason

PASS, FAIL, INCONCLUSIVE, ERROR = Outcome.PASS, Outcome.FAIL, Outcome.INCONCLUSIVE, Outcome.ERROR


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
    """Share of answers with an error, against the other release's; against none at all where that one never answered."""
    ours = rate_sequence(candidate.errors, candidate.requests, alpha / 2)
    theirs = rate_sequence(baseline.errors, baseline.requests, alpha / 2) if baseline.requests else Range(0.0, 0.0)
    rate, other = _share(candidate.errors, candidate.requests), _share(baseline.errors, baseline.requests)
    numbers = {
        "errors": candidate.errors, "requests": candidate.requests, "baseline_errors": baseline.errors,
        "baseline_requests": baseline.requests, "difference": rate - other, "low": ours.low - theirs.high,
        "high": ours.high - theirs.low, "margin": policy.error_rate_margin,
    }  # fmt: skip
    text = f"errors in {rate:.2%} of {candidate.requests} answers against {other:.2%} of {baseline.requests}"
    if numbers["low"] > policy.error_rate_margin:
        worse = f"at least {numbers['low']:.2%} more, {policy.error_rate_margin:.2%} allowed"
        return Reason("rollout.errors", FAIL, f"{text}: {worse}", numbers)
    enough = candidate.requests >= max(1, policy.minimum_requests)
    good = enough and rate - other <= policy.error_rate_margin
    return Reason("rollout.errors", PASS if good else INCONCLUSIVE, text, numbers)


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

    Fails when more of the requests are slower than the limit than of the other release's are slower than its own share of
    it, by the rates' always-valid intervals: were every request at most `latency_factor` times slower, that could not be.
    """
    p99, other = candidate.quantile(0.99), baseline.quantile(0.99)
    if math.isnan(p99):
        return Reason("rollout.latency", INCONCLUSIVE, "no request was timed yet", {"timed": 0})
    limit = max(policy.latency_floor_ms, policy.latency_factor * other) if baseline.timed else policy.latency_floor_ms
    ours = rate_sequence(candidate.slower(limit), candidate.timed, alpha / 2)
    theirs = rate_sequence(baseline.slower(limit / policy.latency_factor), baseline.timed, alpha / 2)
    numbers = {
        "p99_ms": p99, "baseline_p99_ms": other if baseline.timed else None, "limit_ms": limit, "timed": candidate.timed,
        "slower": candidate.slower(limit), "slower_low": ours.low, "baseline_slower_high": theirs.high,
    }  # fmt: skip
    against = f"against {other:.1f} ms" if baseline.timed else "with nothing to hold it against"
    text = f"p99 latency {p99:.1f} ms of {candidate.timed} requests {against}, limit {limit:.1f} ms"
    if ours.low > theirs.high:
        return Reason("rollout.latency", FAIL, text, numbers)
    good = p99 <= limit and candidate.requests >= max(1, policy.minimum_requests)
    return Reason("rollout.latency", PASS if good else INCONCLUSIVE, text, numbers)


def score_shift(pairs: ScorePairs, policy: RolloutPolicy) -> Reason:
    """Jensen-Shannon distance (base 2, 0 to 1) between both releases' scores on the same rows (Lin 1991, eq. 3.10).

    Below `shadow_requests` rows it fails only where the distance exceeds the limit by more than sampling explains. The
    distance is a metric, so each of the two samples adds at most its distance to its own source, and 8 n ln 2 times the
    square of that is asymptotically chi-squared with a degree of freedom less than there are bins.
    """
    n, enough = pairs.count, pairs.count >= max(1, policy.shadow_requests)
    if not n:
        return Reason("rollout.score_shift", INCONCLUSIVE, "no row was scored by both releases yet", {"pairs": 0})
    distance = jensen_shannon(pairs.candidate, pairs.baseline)
    noise = 0.0 if enough else math.sqrt(float(chi2.ppf(0.999, len(pairs.candidate) - 1)) / (2 * n * math.log(2)))
    numbers = {"distance": distance, "limit": policy.score_shift, "sampling": noise, "pairs": n}
    text = f"scores differ by a Jensen-Shannon distance of {distance:.3f} on {n} same rows, limit {policy.score_shift:.3f}"
    if distance > policy.score_shift + noise:
        return Reason("rollout.score_shift", FAIL, text, numbers)
    return Reason("rollout.score_shift", PASS if enough else INCONCLUSIVE, text, numbers)


def labelled_cost(costs: PairedCosts, policy: RolloutPolicy, alpha: float, required: int) -> Reason:
    """Cost per labelled row, paired: fails when it is above (1 + `cost_margin`) times the other release's.

    The mean of `candidate - (1 + margin) * baseline` has one always-valid interval, so the relative margin needs no
    interval of a ratio. From `required` labels on, no shown harm is a pass: waiting longer is the caller's choice.
    """
    name, factor = "rollout.cost", 1 + policy.cost_margin
    if costs.count < max(2, policy.minimum_labels):
        text = f"{costs.count} labels of rows that both releases scored, {max(2, policy.minimum_labels)} wanted to judge cost"
        return Reason(name, INCONCLUSIVE, text, {"labels": costs.count})
    excess = costs.candidate - factor * costs.baseline
    variance = max(0.0, costs.candidate_variance + factor**2 * costs.baseline_variance - 2 * factor * costs.covariance)
    low, high = mean_sequence(excess, variance, costs.count, alpha, max(policy.minimum_labels, required))
    numbers = {
        "labels": costs.count, "required": required, "cost": costs.candidate, "baseline_cost": costs.baseline,
        "excess": excess, "low": low, "high": high, "margin": policy.cost_margin,
    }  # fmt: skip
    text = (
        f"cost {costs.candidate:.4f} a row against {costs.baseline:.4f} on {costs.count} same labelled rows "
        f"({policy.cost_margin:.0%} more allowed; beyond that {low:+.4f} to {high:+.4f})"
    )
    if low > 0:
        return Reason(name, FAIL, text, numbers)
    return Reason(name, PASS if costs.count >= required else INCONCLUSIVE, text, numbers)


def sample_ratio(assigned: Assigned, weight: float, alpha: float) -> Reason:
    """Whether entities split as the weight says; if not, the arms are not comparable (Fabijan et al. 2019).

    Pearson's chi-squared must fall below `alpha`, and so must the always-valid test, since the split is looked at
    again and again. Below five expected entities an arm the first is not valid and nothing is said.
    """
    name, seen = "rollout.sample_ratio", assigned.candidate + assigned.baseline
    expected = (seen * weight, seen * (1 - weight))
    if min(expected) < 5:
        return Reason(name, INCONCLUSIVE, f"{seen} entities are too few to judge the split at weight {weight:g}")
    observed = (assigned.candidate, assigned.baseline)
    p = float(chisquare(observed, expected).pvalue)
    always = 1 / max(1.0, split_evidence(observed, weight))
    numbers = {"candidate": observed[0], "baseline": observed[1], "weight": weight, "p": p, "p_always": always, "alpha": alpha}
    text = f"{observed[0]} of {seen} entities met the challenger, {weight:.1%} expected (p={p:.2g})"
    mismatch = p < alpha and always < alpha
    return Reason(name, FAIL if mismatch else PASS, f"sample ratio mismatch: {text}" if mismatch else text, numbers)


def jensen_shannon(first: tuple[int, ...], second: tuple[int, ...]) -> float:
    """The Jensen-Shannon distance of two histograms over the same bins: square root of the divergence in bits."""
    p, q = np.asarray(first, dtype=float) / sum(first), np.asarray(second, dtype=float) / sum(second)
    middle = (p + q) / 2
    divergence = sum(float(np.sum(s[s > 0] * np.log2(s[s > 0] / middle[s > 0]))) for s in (p, q)) / 2
    return math.sqrt(min(1.0, max(0.0, divergence)))


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
