"""What a comparison of served features with history allows: the monitor's verdict, and who may go on because of it."""

from __future__ import annotations

from dataclasses import dataclass

from everloop.decide.parity import Comparison
from everloop.decide.policy import ParityPolicy
from everloop.decide.verdict import Outcome, Reason, Verdict, combine

NAMED = 3
"""Features that a reason names; the measurement holds them all."""


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How a release's served features compared with history when that was last measured, with the monitor's words."""

    release: str
    interval: str
    outcome: Outcome
    because: str


@dataclass(frozen=True, kw_only=True)
class Standings:
    """Those of the release on trial and of the one it is held against; `None` where nothing was measured yet."""

    candidate: Standing | None = None
    baseline: Standing | None = None


NOTHING_MEASURED = Standings()


def judge(comparison: Comparison, policy: ParityPolicy) -> Verdict:
    """Pass from `policy.minimum_share` of equal rows on; fail when the share's interval lies below that.

    Inconclusive in between, when nothing could be compared, when a served feature could not be, or when the store was away for
    too many rows: what was not compared proves nothing.
    """
    reasons = [_share(comparison, policy)]
    if comparison.unavailable:
        reasons.append(_unavailable(comparison, policy))
    if comparison.not_replayed:
        text = f"served features {list(comparison.not_replayed)} are not in history any more and were not compared"
        reasons.append(Reason("parity.features", Outcome.INCONCLUSIVE, text, {"features": list(comparison.not_replayed)}))
    return combine(reasons)


def for_gate(champion: str | None, standing: Standing | None) -> list[Reason]:
    """Whether what `champion` is served allows another release to take its place; no reason while nothing serves.

    A candidate has learnt from history and will be served what the champion is served now: it goes on only where these were
    shown to agree.
    """
    if champion is None:
        return []
    if standing is None:
        text = (
            f"no row that champion {champion} served was replayed through history yet: let the monitor measure an interval of "
            "its traffic, or force the candidate with a reason"
        )
        return [Reason("gate.parity", Outcome.INCONCLUSIVE, text, {"champion": champion})]
    numbers = {"champion": champion, "interval": standing.interval}
    text = f"features served by champion {champion} in {standing.interval}: {standing.because}"
    if standing.outcome is not Outcome.PASS:
        text += "; mend what serves them and measure again, or force a candidate that mends it with a reason"
    return [Reason("gate.parity", standing.outcome, text, numbers)]


def for_rollout(standings: Standings) -> Reason:
    """Whether a rollout may go on: the release on trial fails by its own features; those of the other one only hold it.

    The release on trial may be the cure: once its own features are shown to agree with history, it goes on whatever the
    other one is served.
    """
    name, ours, theirs = "rollout.parity", standings.candidate, standings.baseline
    if ours is not None and ours.outcome in (Outcome.PASS, Outcome.FAIL):
        return Reason(name, ours.outcome, f"features served to {ours.release} in {ours.interval}: {ours.because}")
    if held(standings) and theirs is not None:
        text = (
            f"features served to {theirs.release} in {theirs.interval} are not those of history: {theirs.because}; "
            "waiting until the monitor has shown that those of the release on trial are"
        )
        return Reason(name, Outcome.INCONCLUSIVE, text)
    return Reason(name, Outcome.INCONCLUSIVE, "the features served to the release on trial were not compared with history yet")


def held(standings: Standings) -> bool:
    """Whether the release on trial must show its own parity, since the other one's has failed."""
    return standings.baseline is not None and standings.baseline.outcome is Outcome.FAIL


def _share(comparison: Comparison, policy: ParityPolicy) -> Reason:
    whole, (low, high) = comparison.whole, comparison.interval
    numbers = {"rows": whole.rows, "equal": whole.equal, "low": low, "high": high, "minimum_share": policy.minimum_share}
    if whole.share is None:
        return Reason("parity.share", Outcome.INCONCLUSIVE, "no served row could be compared", numbers)
    worst = "".join(f"; {feature} differs in {count}" for feature, count in list(comparison.differing.items())[:NAMED])
    text = f"{whole.equal} of {whole.rows} rows have the features of history, {policy.minimum_share:.1%} wanted{worst}"
    fewer = Outcome.FAIL if high < policy.minimum_share else Outcome.INCONCLUSIVE
    return Reason("parity.share", Outcome.PASS if whole.share >= policy.minimum_share else fewer, text, numbers)


def _unavailable(comparison: Comparison, policy: ParityPolicy) -> Reason:
    away, total = comparison.unavailable, comparison.unavailable + comparison.whole.rows
    text = f"{away} of {total} rows were served while the online store was away, and count apart"
    few = (total - away) / total >= policy.minimum_share
    return Reason(
        "parity.unavailable", Outcome.PASS if few else Outcome.INCONCLUSIVE, text, {"unavailable": away, "sampled": total}
    )
