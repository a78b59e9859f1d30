"""Whether the monitor's windows call for a new model, written to the ledger once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from everloop.decide.policy import RetrainPolicy
from everloop.decide.release.state import ReleaseState, Stage
from everloop.decide.verdict import Outcome
from everloop.decide.watch.retrain import RetrainDecision, Window, should_retrain
from everloop.interval import Interval
from everloop.ports import Decision, Entry, Ledger, Measurement, Measurements
from everloop.steps.deciding import decide_and_append
from everloop.steps.monitor.measuring import WINDOW
from everloop.steps.monitor.outcomes import CURSOR
from everloop.steps.provenance import REGISTERED, same_booster, trained_as
from everloop.use_case import UseCase

ACTION = "retrain_wanted"
_ON_TRIAL = frozenset({Stage.CHECK, Stage.SHADOW, Stage.CANARY, Stage.PAUSED})
"""The stages in which a new release would be refused. A watch is none of them: it has no patience, since it waits for as many
labels as its policy wants, and must not hold a model that has aged for months. `RetrainPolicy.cooldown` is what leaves a new
champion alone; what is trained after it takes the place of the watch (`steps.release`), as in `benchmarks/year_loop.py`."""


def decide(
    measurements: Measurements,
    ledger: Ledger,
    use_case: UseCase,
    intervals: Sequence[Interval],
    *,
    now: datetime,
    backfill: bool = False,
) -> dict[str, Any]:
    """`{"retrain", "reason", "window"?, "row"?}` after `intervals`; a yes is ledger row `row`, one for each champion and window.

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


@dataclass(frozen=True)
class Seen:
    """The champion's windows, oldest first, what each rests on, and through when the champion has learnt, where it is known."""

    windows: tuple[Window, ...]
    evidence: tuple[Mapping[str, Any], ...]
    trained_through: datetime | None


def windows(measurements: Measurements, ledger: Ledger, use_case: UseCase, champion: str, through: datetime) -> Seen:
    """What was measured of the champion until `through`, and of releases of the same booster before it.

    No more than the policy looks at: the last n, or all where it counts new labels.
    """
    policy, found = use_case.retrain, dict[datetime, dict[str, Measurement]]()
    newest = policy.n if policy.new_labels is None else None
    trained = trained_as(ledger, use_case, champion)
    for kind in ("drift", "performance", *(["estimate"] if policy.on_estimate else [])):
        for measured in measurements.read(
            use_case.name, kind=kind, release=trained, subject=WINDOW, until=through, newest=newest
        ):
            found.setdefault(measured.interval.end, {})[kind] = measured
    ends = sorted(found)
    return Seen(
        tuple(_window(end, found[end], policy) for end in ends),
        tuple(_evidence(end, found[end]) for end in ends),
        _trained_through(ledger, use_case, champion, [m for end in ends for m in found[end].values()]),
    )


def _window(end: datetime, by_kind: Mapping[str, Measurement], policy: RetrainPolicy) -> Window:
    verdicts = {kind: Outcome(measured.verdict) for kind, measured in by_kind.items()}
    labels = by_kind["performance"].detail["labels"] if "performance" in by_kind else 0
    window = Window(end=end, labels=labels, **verdicts)
    return replace(window, because="; ".join(by_kind[kind].detail["because"] for kind in window.violated(policy)))


def _evidence(end: datetime, by_kind: Mapping[str, Measurement]) -> dict[str, Any]:
    """A window as the ledger keeps it: each measure with its verdict and all reasons and numbers behind it."""
    measures = {
        kind: {"verdict": m.verdict, "labels": m.detail.get("labels"), "reasons": m.detail.get("reasons", [])}
        for kind, m in by_kind.items()
    }
    return {"end": end.isoformat(), "measures": measures}


def _trained_through(ledger: Ledger, use_case: UseCase, champion: str, measured: Sequence[Measurement]) -> datetime | None:
    """As the latest measures noted it, or as the release was registered."""
    if measured:
        return datetime.fromisoformat(measured[-1].detail["trained_through"])
    rows = ledger.entries(use_case.name, subject=champion, action=REGISTERED)
    return datetime.fromisoformat(rows[-1].evidence["trained_through"]) if rows else None


def _answer(measurements: Measurements, ledger: Ledger, use_case: UseCase, through: datetime, now: datetime) -> dict[str, Any]:
    _, state = ledger.head(use_case.name)
    if state.champion is None:
        return {"retrain": False, "reason": "no release serves yet: train the first one by hand"}
    asked = _last_asked(ledger, use_case, state.champion)
    if asked is not None and _window_of(asked) == through:
        return _yes(f"{asked.reason} (asked already, ledger row {asked.seq})", through, asked)
    if state.stage in _ON_TRIAL:
        return {"retrain": False, "reason": f"{state.challenger} is on trial (stage {state.stage}): its rollout decides first"}
    seen = windows(measurements, ledger, use_case, state.champion, through)
    decision = should_retrain(
        seen.windows,
        use_case.retrain,
        last_trained_through=seen.trained_through,
        last_wanted=_window_of(asked) if asked else None,
        last_asked=max((_window_of(row) for row in ledger.entries(use_case.name, action=ACTION)), default=None),
        now=through,
    )
    if not decision.retrain:
        return {"retrain": False, "reason": decision.reason, "window": through.isoformat()}
    row = _record(ledger, use_case, state.champion, decision, seen, through, now)
    if row is None:
        return {"retrain": False, "reason": f"{state.champion} stopped being the champion meanwhile"}
    return _yes(decision.reason, through, row)


def _yes(reason: str, through: datetime, row: Entry) -> dict[str, Any]:
    return {"retrain": True, "reason": reason, "window": through.isoformat(), "row": row.seq}


def _last_asked(ledger: Ledger, use_case: UseCase, champion: str) -> Entry | None:
    alike = same_booster(ledger, use_case, champion)
    entries = [entry for entry in ledger.entries(use_case.name, action=ACTION) if entry.subject in alike]
    return entries[-1] if entries else None


def _window_of(entry: Entry) -> datetime:
    return datetime.fromisoformat(entry.evidence["window"])


def _record(
    ledger: Ledger,
    use_case: UseCase,
    champion: str,
    decision: RetrainDecision,
    seen: Seen,
    through: datetime,
    now: datetime,
) -> Entry | None:
    evidence = {
        "window": through.isoformat(),
        "triggers": decision.triggers,
        "trained_through": seen.trained_through and seen.trained_through.isoformat(),
        "windows": seen.evidence[-use_case.retrain.n :],
        "policy": asdict(use_case.retrain),
    }

    def wanted(state: ReleaseState) -> Decision | None:
        if state.champion != champion:
            return None
        return Decision(actor="everloop", action=ACTION, subject=champion, after=state, reason=decision.reason, evidence=evidence)

    return decide_and_append(ledger, use_case.name, wanted, now)
