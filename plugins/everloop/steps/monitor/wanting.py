"""Whether the monitor's windows call for a new model, written to the ledger once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from everloop.decide.release.state import ReleaseState, Stage
from everloop.decide.verdict import Outcome
from everloop.decide.watch.retrain import RetrainDecision, Window, should_retrain
from everloop.interval import Interval
from everloop.ports import Decision, Entry, Ledger, Measurement, Measurements
from everloop.steps.deciding import decide_and_append
from everloop.steps.monitor.measuring import WINDOW
from everloop.steps.monitor.outcomes import CURSOR
from everloop.use_case import UseCase

ACTION = "retrain_wanted"
_ON_TRIAL = frozenset({Stage.CHECK, Stage.SHADOW, Stage.CANARY, Stage.PAUSED})


def decide(
    measurements: Measurements,
    ledger: Ledger,
    use_case: UseCase,
    intervals: Sequence[Interval],
    *,
    now: datetime,
    backfill: bool = False,
) -> dict[str, Any]:
    """`{"retrain", "reason", "window"?}` after `intervals`; a yes is a ledger row, one for each champion and window.

    Asked again for the same window (the run was killed before it rang) the answer is the same yes, from that row. Data time
    decides; `now`, wall clock, dates the row. Moves the monitor's cursor last. A backfill only moves the cursor.
    """
    if not intervals:
        return {"retrain": False, "reason": "no interval to decide on"}
    through = max(interval.end for interval in intervals)
    if backfill:
        answer = {"retrain": False, "reason": "these intervals were backfilled: measured, and nothing is asked for"}
    else:
        answer = _answer(measurements, ledger, use_case, through, now)
    measurements.advance(use_case.name, CURSOR, through)
    return answer


def windows(
    measurements: Measurements, use_case: UseCase, champion: str, through: datetime
) -> tuple[list[Window], datetime | None]:
    """The champion's windows until `through`, oldest first, and through when it had learnt, as the measures noted it.

    No more than the policy looks at: the last n, or all where it counts new labels.
    """
    policy, found = use_case.retrain, dict[datetime, dict[str, Measurement]]()
    newest = policy.n if policy.new_labels is None else None
    for kind in ("drift", "performance"):
        for measured in measurements.read(
            use_case.name, kind=kind, release=champion, subject=WINDOW, until=through, newest=newest
        ):
            found.setdefault(measured.interval.end, {})[kind] = measured
    trained = [m.detail["trained_through"] for by_kind in found.values() for m in by_kind.values()]
    return [_window(end, found[end]) for end in sorted(found)], datetime.fromisoformat(trained[-1]) if trained else None


def _window(end: datetime, by_kind: dict[str, Measurement]) -> Window:
    drift, performance = by_kind.get("drift"), by_kind.get("performance")
    return Window(
        end=end,
        drift=Outcome(drift.verdict) if drift else None,
        performance=Outcome(performance.verdict) if performance else None,
        labels=performance.detail["labels"] if performance else 0,
        because="; ".join(m.detail["because"] for m in by_kind.values() if m.verdict == Outcome.FAIL),
    )


def _answer(measurements: Measurements, ledger: Ledger, use_case: UseCase, through: datetime, now: datetime) -> dict[str, Any]:
    _, state = ledger.head(use_case.name)
    if state.champion is None:
        return {"retrain": False, "reason": "no release serves yet: train the first one by hand"}
    seen, trained_through = windows(measurements, use_case, state.champion, through)
    asked = _last_asked(ledger, use_case, state.champion)
    if asked is not None and _window_of(asked) == through:
        return {
            "retrain": True,
            "reason": f"{asked.reason} (asked already, ledger row {asked.seq})",
            "window": through.isoformat(),
        }
    if state.stage in _ON_TRIAL:
        return {"retrain": False, "reason": f"{state.challenger} is on trial (stage {state.stage}): its rollout decides first"}
    last_wanted = _window_of(asked) if asked else None
    decision = should_retrain(seen, use_case.retrain, last_trained_through=trained_through, last_wanted=last_wanted, now=through)
    if decision.retrain and not _record(ledger, use_case, state.champion, decision, seen, through, now):
        return {"retrain": False, "reason": f"{state.champion} stopped being the champion meanwhile"}
    return {"retrain": decision.retrain, "reason": decision.reason, "window": through.isoformat()}


def _last_asked(ledger: Ledger, use_case: UseCase, champion: str) -> Entry | None:
    entries = ledger.entries(use_case.name, subject=champion, action=ACTION)
    return entries[-1] if entries else None


def _window_of(entry: Entry) -> datetime:
    return datetime.fromisoformat(entry.evidence["window"])


def _record(
    ledger: Ledger,
    use_case: UseCase,
    champion: str,
    decision: RetrainDecision,
    seen: Sequence[Window],
    through: datetime,
    now: datetime,
) -> bool:
    recent = [asdict(w) | {"end": w.end.isoformat()} for w in seen if w.end <= through][-use_case.retrain.n :]
    evidence = {"window": through.isoformat(), "triggers": list(decision.triggers), "windows": recent}

    def wanted(state: ReleaseState) -> Decision | None:
        if state.champion != champion:
            return None
        return Decision(actor="everloop", action=ACTION, subject=champion, after=state, reason=decision.reason, evidence=evidence)

    return decide_and_append(ledger, use_case.name, wanted, now) is not None
