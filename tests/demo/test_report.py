from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from everloop.decide.release.state import ReleaseState, Stage
from everloop.demo.report import account
from everloop.ports import Decision
from fakes.ledger import InMemoryLedger
from fakes.registry import InMemoryRegistry
from fakes.traffic import InMemoryTraffic, prediction
from steps.conftest import toy_bundle, toy_use_case

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MAY = datetime(2013, 5, 1, tzinfo=UTC)


@pytest.fixture
def told() -> dict[str, Any]:
    """Two releases serve, a third is on trial while a fourth is refused and then forced into its place."""
    bundles = [toy_bundle(datetime(2013, month, 1, tzinfo=UTC)) for month in (2, 3, 4, 5)]
    first, second, third, fourth = (bundle.id for bundle in bundles)
    ledger, traffic = InMemoryLedger(), InMemoryTraffic()
    alone = ReleaseState(champion=first)
    trial = ReleaseState(champion=first, challenger=second, rollout="2-b", stage=Stage.CANARY, weight=0.25)
    watch = ReleaseState(champion=second, previous=first, rollout="2-b", stage=Stage.WATCH)
    again = ReleaseState(champion=second, challenger=third, rollout="3-c", stage=Stage.SHADOW)
    forced = ReleaseState(champion=second, challenger=fourth, rollout="4-d", stage=Stage.CANARY, weight=0.05)
    rows = [
        ("gate_passed", first, ReleaseState()), ("promoted", first, alone),
        ("gate_passed", second, alone), ("released", second, trial), ("promoted", second, watch),
        ("gate_passed", third, watch), ("released", third, again),
        ("gate_failed", fourth, again), ("forced", fourth, again), ("forced", fourth, forced),
        ("rolled_back", fourth, ReleaseState(champion=second)),
    ]  # fmt: skip
    for seq, (action, subject, after) in enumerate(rows):
        decision = Decision(actor="ann", action=action, subject=subject, after=after, reason="because")
        ledger.append("toys", decision, expected=seq, at=NOW)
    pair = {"release": second, "shadow_release": first}
    scored = [prediction(f"r{i}", key=f"k{i}", as_of=MAY, score=i / 40, shadow_score=0.5, **pair) for i in range(40)]
    traffic.log("toys", scored)
    traffic.record_outcomes("toys", [(f"k{i}", i >= 20, MAY + timedelta(days=1)) for i in range(40)])
    loop = SimpleNamespace(use_case=toy_use_case(), traffic=traffic, ledger=ledger, registry=InMemoryRegistry(*bundles))
    return account(loop, MAY + timedelta(days=30))  # type: ignore[arg-type]


def test_each_release_has_its_own_history_and_its_end(told: dict[str, Any]) -> None:
    assert [release["history"] for release in told["releases"]] == [
        ["gate_passed", "promoted"],
        ["gate_passed", "released", "promoted"],
        ["gate_passed", "released", "superseded"],
        ["gate_failed", "forced", "forced", "rolled_back"],
    ]


def test_a_new_champion_is_compared_with_the_old_one_on_the_same_labelled_rows(told: dict[str, Any]) -> None:
    (compared,) = told["comparisons"]
    assert compared["labelled_rows"] == 40
    assert (compared["auc_new"]["value"], compared["auc_old"]["value"], compared["auc_difference"]["value"]) == (1.0, 0.5, 0.5)
    assert told["requests"] == {"rows": 40, "errors": 0}
    assert [release["served"] for release in told["releases"]] == [0, 40, 0, 0]
