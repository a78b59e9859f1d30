"""One look at the rollout under way: gather the stage's evidence, decide, write, mirror."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from everloop.decide.release.evidence import COLUMNS, Evidence, LoadCheck, Rows, from_traffic, trial
from everloop.decide.release.rollout import Action, advance
from everloop.decide.release.state import ReleaseState, Stage
from everloop.errors import ReleaseError, SourceError
from everloop.ports import Lake, Ledger, Measurements, Registry, Scorer, TrafficLog
from everloop.steps.deciding import act, mirror
from everloop.steps.parity.standing import standings
from everloop.steps.release import policy_of
from everloop.use_case import UseCase

if TYPE_CHECKING:
    import pyarrow as pa

CHECK_ROWS = 20
"""How many recent examples the scorer is asked to score before any traffic."""

CHECKS = 3
"""How often a scorer that takes too long is asked before it counts as slow."""

_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_END = datetime(9999, 1, 1, tzinfo=UTC)


def step(
    ledger: Ledger,
    traffic: TrafficLog,
    registry: Registry,
    scorer: Scorer,
    lake: Lake,
    measurements: Measurements,
    use_case: UseCase,
    *,
    now: datetime,
) -> dict[str, Any]:
    """Look once at the rollout of `use_case`, at wall-clock time `now`, and go on, go back, ask a person, or wait.

    Waiting writes nothing; all else is one ledger row with the numbers it rests on. Two runs at once cannot both decide: the
    later one reads the new state and looks again. Returns where the releases stand: `stage`, `action`, `reason`, and so on.
    """

    def decide(state: ReleaseState) -> Action:
        return look(ledger, traffic, registry, scorer, lake, measurements, use_case, state, now=now)

    acted = act(ledger, use_case.name, None, decide, now)
    if acted.entry is None:
        return acted.summary()
    return acted.summary() | {"mirrored": mirror(registry, use_case.name, acted.action.after)}


def look(
    ledger: Ledger,
    traffic: TrafficLog,
    registry: Registry,
    scorer: Scorer,
    lake: Lake,
    measurements: Measurements,
    use_case: UseCase,
    state: ReleaseState,
    *,
    now: datetime,
) -> Action:
    """What `step` would do at `now`, with the reasons and numbers; nothing is written."""
    seen = _evidence(traffic, registry, scorer, lake, use_case, state)
    found = replace(seen, parity=standings(measurements, ledger, use_case, state))
    return advance(state, found, policy_of(registry, use_case, trial(state)[0]), now, use_case.fairness)


def _evidence(
    traffic: TrafficLog, registry: Registry, scorer: Scorer, lake: Lake, use_case: UseCase, state: ReleaseState
) -> Evidence:
    """What the stage is judged by: the scorer's word in CHECK, the rollout's traffic from then on."""
    if state.rollout is None or state.stage in (Stage.IDLE, Stage.PAUSED, Stage.EXPERIMENT):
        return Evidence()
    if state.stage is Stage.CHECK:
        return Evidence(check=load_check(registry, scorer, lake, use_case, str(state.challenger)))
    groups = use_case.fairness.columns if use_case.fairness.judges else ()
    rows = traffic.since(use_case.name, state.rollout, _BEGINNING, COLUMNS, groups)
    manifests = {release: registry.get(release).manifest for release in trial(state) if release}
    return from_traffic(
        _arrays(rows),
        state,
        cost=use_case.cost,
        thresholds={release: manifest.threshold for release, manifest in manifests.items()},
        groups=groups,
        views={release: manifest.plan.reads for release, manifest in manifests.items()},
        block=use_case.rollout.block,
    )


def load_check(registry: Registry, scorer: Scorer, lake: Lake, use_case: UseCase, release: str) -> LoadCheck:
    """What the real scorer makes of the release and a few recent examples of the lake.

    A scorer that took too long is asked again, `CHECKS` times in all, and the shortest counts: a machine that stalls for a moment
    says nothing of the release.
    """
    try:
        fields = list(registry.get(release).manifest.plan.request)
        requests = recent_requests(lake, use_case, fields)
        found = _asked(scorer, use_case, release, requests)
        for _ in range(CHECKS - 1):
            if found.latency_ms is None or found.latency_ms <= use_case.rollout.check_latency_ms:
                break
            again = _asked(scorer, use_case, release, requests)
            found = min(found, again, key=lambda one: math.inf if one.latency_ms is None else one.latency_ms)
    except ReleaseError as error:
        return LoadCheck(refused=str(error))
    except SourceError as error:
        return LoadCheck(unreachable=str(error))
    return found


def _asked(scorer: Scorer, use_case: UseCase, release: str, requests: list[dict[str, Any]]) -> LoadCheck:
    answer = scorer.check(use_case.name, release, requests)
    return LoadCheck.of(answer["scores"], answer.get("latency_ms"))


def recent_requests(lake: Lake, use_case: UseCase, fields: list[str], limit: int = CHECK_ROWS) -> list[dict[str, Any]]:
    """The latest labelled examples as the requests they would have been: key, event_timestamp and the request's fields."""
    columns = ", ".join(["key", "event_timestamp", *(f'"{field}"' for field in fields)])
    rows = lake.query(
        f"SELECT {columns} FROM ({use_case.examples.sql}) ORDER BY label_time DESC, key LIMIT {int(limit)}",
        dict.fromkeys(use_case.examples.tables),
        {"start": use_case.start, "end": _END},
    )
    return [{name: _json(value) for name, value in row.items()} for row in rows.to_pylist()]


def _json(value: Any) -> Any:
    """Times as ISO 8601 in UTC; the lake's times without a zone are UTC."""
    if not isinstance(value, datetime):
        return value
    return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC).isoformat()


def _arrays(table: pa.Table) -> Rows:
    """Columns as numpy arrays: times as UTC, absent numbers as NaN, absent text and labels as None."""
    return {name: table[name].to_numpy() for name in table.column_names}
