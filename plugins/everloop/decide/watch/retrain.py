"""Whether to train again, and why: k of the last n windows violate, enough new labels, or time; outside the cooldown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from everloop.decide.policy import RetrainPolicy
from everloop.decide.verdict import Outcome

_UNJUDGED = (None, Outcome.INCONCLUSIVE)


@dataclass(frozen=True, kw_only=True)
class Window:
    """What the monitor found in one interval that ended at `end` (data time); `None` where it measured nothing.

    `estimate`: the performance that the calibrated scores expect. `labels`: outcomes that became known for rows of the window.
    `because`: of each measure that failed (drift, performance, estimate) its reasons with their numbers, in words.
    """

    end: datetime
    drift: Outcome | None = None
    performance: Outcome | None = None
    estimate: Outcome | None = None
    labels: int = 0
    because: str = ""

    def violated(self, policy: RetrainPolicy) -> tuple[str, ...]:
        """What failed. Inconclusive is no violation, and no proof of health either.

        The estimate counts where the policy says so, and only until outcomes have decided: a measurement beats an estimate of it.
        """
        found = [name for name in ("drift", "performance") if getattr(self, name) is Outcome.FAIL]
        if policy.on_estimate and self.performance in _UNJUDGED and self.estimate is Outcome.FAIL:
            found.append("estimate")
        return tuple(found)


@dataclass(frozen=True, kw_only=True)
class RetrainDecision:
    """Whether to train again. `triggers`: drift, performance, estimate, labels, schedule. `window`: the latest one looked at."""

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
    last_asked: datetime | None = None,
    now: datetime,
) -> RetrainDecision:
    """Decide from the champion's windows that ended by `now`, all in data time; their order does not matter.

    Retrain when the latest window violates and so do `k` of the last `n`, when `new_labels` have ripened, or when `every` has
    passed both since what the champion has learnt (`last_trained_through`) and since `last_asked`, the window of the last request
    for whichever champion (`None`: `last_wanted`); never within `cooldown` of what the champion has learnt. Windows up to
    `last_wanted`, the window of the last request for the same champion, have had their effect and do not count again: a refused
    candidate is tried again after `k` more violations, not in each window. Without a window only the schedule asks.

    What a new champion has learnt is old already, since the newest rows are held out for the gate. Counted from that alone, the
    schedule would ask again at once, for a candidate that has hardly a row to show its worth on.
    """
    known = sorted((w for w in windows if w.end <= now), key=lambda w: w.end)
    due = _by_time(policy, last_trained_through, last_asked or last_wanted, now)
    if not known:
        return due or RetrainDecision(retrain=False, reason="no window has been measured for the champion")
    latest = known[-1]
    if last_trained_through is not None and latest.end - last_trained_through < policy.cooldown:
        rest = last_trained_through + policy.cooldown - latest.end
        reason = f"cooling down: the champion has learnt through {last_trained_through:%Y-%m-%d}, {rest.days} days of data to go"
        return due or RetrainDecision(retrain=False, reason=_also(reason, latest, policy), window=latest.end)
    fresh = [w for w in known if last_wanted is None or w.end > last_wanted]
    return _by_windows(fresh[-policy.n :], policy) or _by_labels(fresh, policy) or due or _quiet(fresh, policy, latest)


def _by_windows(recent: Sequence[Window], policy: RetrainPolicy) -> RetrainDecision | None:
    violating = [w for w in recent if w.violated(policy)]
    if len(violating) < policy.k or violating[-1] is not recent[-1]:
        return None
    triggers = tuple(sorted({name for w in violating for name in w.violated(policy)}))
    told = "; ".join(_told(w, policy) for w in violating)
    reason = f"{' and '.join(triggers)} in {len(violating)} of the last {len(recent)} windows, the latest too: {told}"
    return RetrainDecision(retrain=True, reason=reason, triggers=triggers, window=recent[-1].end)


def _by_labels(fresh: Sequence[Window], policy: RetrainPolicy) -> RetrainDecision | None:
    labels = sum(w.labels for w in fresh)
    if policy.new_labels is None or not fresh or labels < policy.new_labels:
        return None
    reason = f"{labels} new labels in {len(fresh)} windows, {policy.new_labels} wanted"
    return RetrainDecision(retrain=True, reason=reason, triggers=("labels",), window=fresh[-1].end)


def _by_time(
    policy: RetrainPolicy, trained_through: datetime | None, last_asked: datetime | None, now: datetime
) -> RetrainDecision | None:
    """By schedule, which is never shorter than the cooldown; not while nobody knows what the champion has learnt."""
    if policy.every is None or trained_through is None:
        return None
    since = trained_through if last_asked is None else max(trained_through, last_asked)
    if now - since < policy.every:
        return None
    reason = (
        f"by schedule: the champion has learnt through {trained_through:%Y-%m-%d}, {(now - trained_through).days} days of data "
        f"ago, and a new model is wanted every {policy.every.days} days"
    )
    return RetrainDecision(retrain=True, reason=reason, triggers=("schedule",), window=now)


def _quiet(fresh: Sequence[Window], policy: RetrainPolicy, latest: Window) -> RetrainDecision:
    recent = fresh[-policy.n :]
    violating = sum(1 for w in recent if w.violated(policy))
    reason = f"{violating} of the last {len(recent)} windows violate, {policy.k} of {policy.n} and the latest are needed"
    return RetrainDecision(retrain=False, reason=_also(reason, latest, policy), window=latest.end)


def _also(reason: str, latest: Window, policy: RetrainPolicy) -> str:
    return f"{reason} (latest: {_told(latest, policy)})" if latest.violated(policy) else reason


def _told(window: Window, policy: RetrainPolicy) -> str:
    """When, which measures, and with which numbers."""
    names = " and ".join(window.violated(policy))
    return f"{names} until {window.end:%Y-%m-%d %H:%MZ}" + (f" ({window.because})" if window.because else "")
