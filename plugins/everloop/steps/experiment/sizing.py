"""How large an experiment must be, from the traffic that the log shows."""

from __future__ import annotations

from datetime import timedelta

import pyarrow as pa
import pyarrow.compute as pc

from everloop.decide.experiment.design import Design, Past, design, explained
from everloop.decide.experiment.measures import COLUMNS
from everloop.decide.experiment.observed import observe
from everloop.decide.policy import Covariate, ExperimentPlan
from everloop.errors import DataError, ReleaseError
from everloop.interval import Interval
from everloop.ports import Entry, Ledger, Registry, TrafficLog
from everloop.steps.experiment.gathering import arrays, check_segments
from everloop.steps.experiment.plans import check
from everloop.use_case import UseCase


def size(traffic: TrafficLog, registry: Registry, use_case: UseCase, plan: ExperimentPlan, *, days: int) -> Design:
    """What `plan` takes, by what its control answered in the last `days` of data time that the log holds.

    `ConfigurationError` where the plan does not hold together; `DataError` where the log shows too little to tell: then
    nobody knows how long the experiment would last.
    """
    check(plan)
    check_segments(use_case, plan.segments)
    through = traffic.last_asked(use_case.name)
    if through is None:
        raise DataError(f"The log of {use_case.name} holds no request, so no experiment can be sized: score some traffic first")
    end = through + timedelta(microseconds=1)
    rows = traffic.served(use_case.name, Interval(end - timedelta(days=days), end), (*COLUMNS, "release"))
    answered = rows.filter(pc.and_(pc.equal(rows["arm"], "champion"), pc.equal(rows["release"], plan.control)))
    found = design(_past(answered, registry, use_case, plan, days), plan)
    if found is None:
        raise DataError(
            f"The last {days} days of the log hold {answered.num_rows} rows answered by {plan.control}, too few with a "
            f"{plan.metric} that varies: wait for traffic{' and labels' if plan.metric.labelled else ''}, or widen --days"
        )
    return found


def releases(ledger: Ledger, use_case: UseCase) -> tuple[str, str | None]:
    """The champion, which is the control of any plan, and the release that the ledger spoke of last other than it.

    `ReleaseError` when nothing serves.
    """
    entries, (_, state) = ledger.entries(use_case.name), ledger.head(use_case.name)
    if state.champion is None:
        raise ReleaseError(f"No release of {use_case.name} serves, so there is no control: release one first")
    spoken = (one for entry in reversed(entries) for one in (entry.after.challenger, entry.before.challenger, _judged(entry)))
    return state.champion, next((one for one in spoken if one and one != state.champion), None)


def _judged(entry: Entry) -> str | None:
    return entry.subject if entry.action in ("gate_passed", "gate_failed", "approved") else None


def _past(rows: pa.Table, registry: Registry, use_case: UseCase, plan: ExperimentPlan, days: int) -> Past:
    """What the control showed. It scored every row, so what CUPED explains of all is scaled to the share that both will score.

    Its own score explains its own selections wholly, and says nothing of how much of the treatment's it will; and how much
    earlier rows will explain is not known before: there CUPED is not counted on.
    """
    threshold = registry.get(plan.control).manifest.threshold
    share = registry.get(plan.treatment).manifest.shadow_share
    shown = {**arrays(rows.select(list(COLUMNS))), "shadow_release": [plan.treatment] * rows.num_rows}
    sums = observe(shown, plan.metric, cost=use_case.cost, threshold=threshold, covariate=plan.covariate).control.sums
    taken = share * explained(sums) if plan.covariate is Covariate.CONTROL and plan.metric.labelled else 0.0
    return Past(sums=sums, requests=rows.num_rows, days=float(days), explained=taken)
