"""Whether to train again, and why: violations in k of the last n windows, or enough new labels, outside the cooldown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from everloop.decide.policy import RetrainPolicy
from everloop.decide.verdict import Outcome


@dataclass(frozen=True, kw_only=True)
class Window:
    """What the monitor found in one interval that ended at `end` (data time); `None` where it measured nothing.

    `labels`: outcomes that became known for rows of the window. `because`: the reasons of what failed, in words.
    """

    end: datetime
    drift: Outcome | None = None
    performance: Outcome | None = None
    labels: int = 0
    because: str = ""

    @property
    def violated(self) -> tuple[str, ...]:
        """What failed: drift, performance, both or neither. Inconclusive is no violation, and no proof of health either."""
        found = (("drift", self.drift), ("performance", self.performance))
        return tuple(name for name, outcome in found if outcome is Outcome.FAIL)


@dataclass(frozen=True, kw_only=True)
class RetrainDecision:
    """Whether to train again. `triggers`: drift, performance, labels. `window`: the end of the latest window looked at."""

    retrain: bool
    reason: str
    triggers: tuple[str, ...] = ()
    window: datetime | None = None


def should_retrain(
    windows: Sequence[Window],
    policy: RetrainPolicy,
    *,
    last_trained_through: datetime | None,
    last_wanted: datetime | None = None,
    now: datetime,
) -> RetrainDecision:
    """Decide from the champion's windows that ended by `now`, all in data time.

    Retrain when the latest window violates and so do `k` of the last `n`, or when `new_labels` have ripened; never within
    `cooldown` of what the champion has learnt (`last_trained_through`). Windows up to `last_wanted`, the window of the last
    request for the same champion, have had their effect and do not count again: a refused candidate is tried again after
    `k` more violations, not in each window.
    """
    known = sorted((w for w in windows if w.end <= now), key=lambda w: w.end)
    if not known:
        return RetrainDecision(retrain=False, reason="no window has been measured for the champion")
    latest = known[-1]
    if last_trained_through is not None and latest.end - last_trained_through < policy.cooldown:
        rest = last_trained_through + policy.cooldown - latest.end
        reason = f"cooling down: the champion has learnt through {last_trained_through:%Y-%m-%d}, {rest.days} days of data to go"
        return RetrainDecision(retrain=False, reason=_also(reason, latest), window=latest.end)
    fresh = [w for w in known if last_wanted is None or w.end > last_wanted]
    return _by_windows(fresh[-policy.n :], policy, latest) or _by_labels(fresh, policy, latest) or _quiet(fresh, policy, latest)


def _by_windows(recent: Sequence[Window], policy: RetrainPolicy, latest: Window) -> RetrainDecision | None:
    violating = [w for w in recent if w.violated]
    if not recent or not latest.violated or len(violating) < policy.k:
        return None
    triggers = tuple(sorted({name for w in violating for name in w.violated}))
    reason = f"{' and '.join(triggers)} in {len(violating)} of the last {len(recent)} windows, the latest too: {latest.because}"
    return RetrainDecision(retrain=True, reason=reason, triggers=triggers, window=latest.end)


def _by_labels(fresh: Sequence[Window], policy: RetrainPolicy, latest: Window) -> RetrainDecision | None:
    labels = sum(w.labels for w in fresh)
    if policy.new_labels is None or labels < policy.new_labels:
        return None
    reason = f"{labels} new labels, {policy.new_labels} wanted"
    return RetrainDecision(retrain=True, reason=reason, triggers=("labels",), window=latest.end)


def _quiet(fresh: Sequence[Window], policy: RetrainPolicy, latest: Window) -> RetrainDecision:
    recent = fresh[-policy.n :]
    violating = sum(1 for w in recent if w.violated)
    reason = f"{violating} of the last {len(recent)} windows violate, {policy.k} of {policy.n} and the latest are needed"
    return RetrainDecision(retrain=False, reason=_also(reason, latest), window=latest.end)


def _also(reason: str, latest: Window) -> str:
    return f"{reason} (latest: {latest.because})" if latest.violated else reason
