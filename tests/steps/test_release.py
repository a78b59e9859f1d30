"""What begins a rollout, what is refused, and that running twice changes nothing."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from everloop.decide.policy import RecalibrationPolicy, RolloutPolicy
from everloop.decide.release.state import ReleaseState, Stage
from everloop.errors import ReleaseError
from everloop.ports import Decision, Ledger
from everloop.release import CALIBRATED_THROUGH, RECALIBRATES, Bundle
from everloop.steps.release import policy_of, record_approval, release, superseded
from everloop.use_case import UseCase
from fakes.ledger import InMemoryLedger
from fakes.registry import InMemoryRegistry

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
Release = Callable[..., dict[str, Any]]


@pytest.fixture
def ledger() -> InMemoryLedger:
    return InMemoryLedger()


@pytest.fixture
def ask(ledger: Ledger, registry: InMemoryRegistry, toys: UseCase, ids: dict[str, str]) -> Release:
    def call(name: str, use_case: UseCase = toys, now: datetime = NOW, **options: Any) -> dict[str, Any]:
        asked = {"actor": "dag:toys_retrain", "reason": "drift", "now": now} | options
        return release(ledger, registry, use_case, ids.get(name, name), **asked)

    return call


def write(ledger: Ledger, action: str, subject: str, after: ReleaseState | None = None) -> None:
    seq, state = ledger.head("toys")
    decision = Decision(actor="gate", action=action, subject=subject, after=after or state, reason="because")
    ledger.append("toys", decision, expected=seq, at=NOW)


def actions(ledger: Ledger) -> list[str]:
    return [entry.action for entry in ledger.entries("toys")]


def test_what_passed_the_gate_goes_on_trial(ledger: Ledger, registry: InMemoryRegistry, ask: Release, ids: dict[str, str]):
    write(ledger, "promoted", ids["old"], ReleaseState(champion=ids["old"]))
    write(ledger, "gate_passed", ids["new"])
    result = ask("new")
    _, state = ledger.head("toys")
    assert (result["action"], result["released"], result["stage"], result["mirrored"]) == ("released", True, "check", True)
    assert (state.champion, state.challenger, state.stage, state.since) == (ids["old"], ids["new"], Stage.CHECK, NOW)
    assert state.rollout == "1-20130428T000000"
    assert registry.aliases == {"champion": ids["old"], "challenger": ids["new"]}
    entry = ledger.entries("toys")[-1]
    assert (entry.subject, entry.actor, entry.reason) == (ids["new"], "dag:toys_retrain", "drift")


def test_releasing_twice_changes_nothing_and_still_says_that_it_is_on_trial(ledger: Ledger, ask: Release, ids: dict[str, str]):
    write(ledger, "gate_passed", ids["new"])
    first, again = ask("new"), ask("new", now=NOW + timedelta(hours=1))
    assert again["released"]
    assert "on trial already" in again["reason"]
    assert again["rollout"] == first["rollout"]
    assert actions(ledger) == ["gate_passed", "released"]


def test_a_champion_is_not_released_again(ledger: Ledger, ask: Release, ids: dict[str, str]):
    write(ledger, "promoted", ids["new"], ReleaseState(champion=ids["new"]))
    result = ask("new", backfill=True)
    assert not result["released"]
    assert "champion already" in result["reason"]
    assert actions(ledger) == ["promoted"]


@pytest.mark.parametrize("options", [{}, {"forced": True}])
def test_a_backfill_never_promotes_not_even_the_first_release(ledger: Ledger, ask: Release, ids: dict[str, str], options: dict):
    write(ledger, "gate_passed", ids["new"])
    for _ in range(2):
        result = ask("new", backfill=True, **options)
        assert (result["action"], result["released"]) == ("refused", False)
        assert "a backfill never promotes" in result["reason"]
    assert actions(ledger) == ["gate_passed", "refused"]


@pytest.mark.parametrize(("champion", "candidate"), [("new", "old"), ("newer", "new")])
@pytest.mark.parametrize("options", [{}, {"forced": True}])
def test_what_has_learnt_from_nothing_newer_is_refused(
    ledger: Ledger, ask: Release, ids: dict[str, str], champion: str, candidate: str, options: dict
):
    write(ledger, "promoted", ids[champion], ReleaseState(champion=ids[champion]))
    write(ledger, "gate_passed", ids[candidate])
    result = ask(candidate, **options)
    assert result["action"] == "refused"
    assert "must be newer than the champion" in result["reason"]
    assert ledger.head("toys")[1] == ReleaseState(champion=ids[champion])
    numbers = ledger.entries("toys")[-1].evidence["reasons"][0]["numbers"]
    assert numbers["trained_through"] < numbers["champion_trained_through"]


def test_a_release_of_another_use_case_is_refused(ask: Release):
    assert "is a release of claims, not of toys" in ask("alien", forced=True)["reason"]


@pytest.mark.parametrize("said", ["nothing", "gate_failed"])
def test_without_a_pass_of_the_gate_a_release_must_be_forced(ledger: Ledger, ask: Release, ids: dict[str, str], said: str):
    if said != "nothing":
        write(ledger, "gate_passed", ids["new"])
        write(ledger, said, ids["new"])
    refused = ask("new")
    assert refused["action"] == "refused"
    assert "needs a pass, or to be forced" in refused["reason"]
    forced = ask("new", forced=True, actor="ann", reason="a drill")
    assert (forced["action"], forced["reason"], forced["stage"]) == ("forced", "ann: a drill", "check")


def test_a_forced_release_may_skip_the_shadow_and_takes_the_place_of_another(ledger: Ledger, ask: Release, ids: dict[str, str]):
    write(ledger, "promoted", ids["old"], ReleaseState(champion=ids["old"]))
    write(ledger, "gate_passed", ids["new"])
    ask("new")
    result = ask("newer", forced=True, skip_shadow=True)
    assert (result["challenger"], result["stage"], result["weight"]) == (ids["newer"], "canary", 0.1)


def test_another_release_under_way_is_not_pushed_aside(ledger: Ledger, ask: Release, ids: dict[str, str]):
    for name in ("new", "newer"):
        write(ledger, "gate_passed", ids[name])
    ask("new")
    result = ask("newer")
    assert (result["action"], result["released"]) == ("refused", False)
    assert f"{ids['new']} is under way" in result["reason"]


def test_what_comes_while_a_promoted_release_is_watched_ends_the_watch(ledger: Ledger, ask: Release, ids: dict[str, str]):
    watched = ReleaseState(champion=ids["new"], previous=ids["old"], rollout="1-20130428T000000", stage=Stage.WATCH, since=NOW)
    write(ledger, "promoted", ids["new"], watched)
    assert ask("newer")["action"] == "refused"
    write(ledger, "gate_passed", ids["newer"])
    result = ask("newer")
    assert (result["action"], result["champion"], result["challenger"]) == ("released", ids["new"], ids["newer"])
    _, state = ledger.head("toys")
    assert (state.stage, state.previous, state.rollout) == (Stage.CHECK, ids["old"], "2-20130528T000000")
    assert superseded(ledger.entries("toys")[-1]) is None


def test_the_same_decisions_on_other_days_name_the_rollouts_alike_and_each_differently(
    registry: InMemoryRegistry, toys: UseCase, ids: dict[str, str]
):
    def names(now: datetime) -> list[str]:
        ledger = InMemoryLedger()
        for n, (name, forced) in enumerate([("new", False), ("newer", True), ("new", True)]):
            write(ledger, "gate_passed", ids["new"])
            asked = {"actor": "ann", "reason": "why not", "now": now + n * timedelta(hours=1), "forced": forced}
            release(ledger, registry, toys, ids[name], **asked)
            ledger.append(
                "toys",
                Decision(actor="a", action="advanced", subject="x", after=ledger.head("toys")[1], reason="-"),
                expected=ledger.head("toys")[0],
                at=now,
            )
        return [e.after.rollout for e in ledger.entries("toys") if e.action in ("released", "forced")]

    assert names(NOW) == names(NOW + timedelta(days=400, seconds=7))
    assert names(NOW) == ["1-20130428T000000", "2-20130528T000000", "3-20130428T000000"]


def test_a_release_whose_place_was_taken_is_superseded(ledger: Ledger, ask: Release, ids: dict[str, str]):
    for name in ("new", "newer"):
        write(ledger, "gate_passed", ids[name])
    ask("new")
    assert superseded(ledger.entries("toys")[-1]) is None
    ask("newer", forced=True)
    assert superseded(ledger.entries("toys")[-1]) == ids["new"]
    ask("new", forced=True)
    assert f"was on trial before (superseded by {ids['new']})" in ask("newer")["reason"]
    write(ledger, "rolled_back", ids["new"], ReleaseState(champion=ids["old"]))
    assert superseded(ledger.entries("toys")[-1]) is None


def test_an_overruled_gate_supersedes_nothing(ledger: Ledger, ask: Release, ids: dict[str, str]):
    write(ledger, "gate_passed", ids["new"])
    ask("new")
    write(ledger, "forced", ids["newer"], ledger.head("toys")[1])
    assert superseded(ledger.entries("toys")[-1]) is None


def test_what_failed_its_trial_gets_no_second_one_unless_forced(ledger: Ledger, ask: Release, ids: dict[str, str]):
    write(ledger, "promoted", ids["old"], ReleaseState(champion=ids["old"]))
    write(ledger, "gate_passed", ids["new"])
    ask("new")
    write(ledger, "rolled_back", ids["new"], ReleaseState(champion=ids["old"]))
    assert "was on trial before (rolled_back: because)" in ask("new")["reason"]
    assert ask("new", forced=True, now=NOW + timedelta(hours=1))["released"]


def test_a_release_whose_bytes_are_absent_raises_and_writes_nothing(ledger: Ledger, ask: Release):
    with pytest.raises(ReleaseError, match="not in the store"):
        ask("0123456789abcdef", forced=True)
    assert actions(ledger) == []


def test_a_registry_that_is_down_does_not_undo_the_release(
    ledger: Ledger, registry: InMemoryRegistry, ask: Release, ids: dict[str, str]
):
    write(ledger, "gate_passed", ids["new"])
    registry.down = True
    result = ask("new")
    assert (result["released"], result["mirrored"]) == (True, False)
    registry.down = False
    assert ask("new")["mirrored"]
    assert registry.aliases == {"challenger": ids["new"]}


@pytest.fixture
def asking(use_case_with: Callable[..., UseCase]) -> UseCase:
    """The same use case, but a person has to approve."""
    return use_case_with(rollout=RolloutPolicy(approval=True))


def test_an_approval_that_is_asked_for_must_be_there(ledger: Ledger, ask: Release, asking: UseCase, ids: dict[str, str]):
    write(ledger, "gate_passed", ids["new"])
    assert f"nobody has approved {ids['new']}" in ask("new", asking)["reason"]
    record_approval(ledger, asking, ids["new"], True, "ann", NOW)
    assert ask("new", asking)["released"]


def test_what_a_person_rejected_stays_rejected_even_when_forced(
    ledger: Ledger, ask: Release, asking: UseCase, ids: dict[str, str]
):
    write(ledger, "gate_passed", ids["new"])
    record_approval(ledger, asking, ids["new"], True, "ann", NOW)
    record_approval(ledger, asking, ids["new"], False, "bob", NOW, "not before Easter")
    assert "was rejected by bob (not before Easter)" in ask("new", asking, forced=True)["reason"]


def test_an_answer_is_written_once_with_the_name_of_who_gave_it(ledger: Ledger, toys: UseCase, ids: dict[str, str]):
    first = record_approval(ledger, toys, ids["new"], True, "ann", NOW)
    again = record_approval(ledger, toys, ids["new"], True, "ann", NOW)
    record_approval(ledger, toys, ids["new"], True, "bob", NOW)
    assert (first["seq"], again["seq"]) == (1, None)
    assert [(e.action, e.actor) for e in ledger.entries("toys")] == [("approved", "ann"), ("approved", "bob")]


def recalibration(of: Bundle, through: datetime) -> Bundle:
    """A release with the booster of another and a newer calibrator."""
    lineage = {RECALIBRATES: of.id, CALIBRATED_THROUGH: through.isoformat()}
    return Bundle(replace(of.manifest, lineage=lineage), of.files)


@pytest.fixture
def shown(registry: InMemoryRegistry, bundles: dict[str, Bundle]) -> Bundle:
    """A recalibration of `old`, by the labels of June."""
    made = recalibration(bundles["old"], datetime(2013, 6, 1, tzinfo=UTC))
    registry.put(made)
    registry.record(made, {}, {}, "")
    return made


def test_a_recalibration_of_what_serves_goes_on_trial_without_approval(
    ledger: Ledger, ask: Release, ids: dict[str, str], shown: Bundle, use_case_with: Callable[..., UseCase]
):
    write(ledger, "promoted", ids["old"], ReleaseState(champion=ids["old"]))
    write(ledger, "gate_passed", shown.id)
    asks = use_case_with(rollout=RolloutPolicy(approval=True), recalibration=RecalibrationPolicy())
    assert ask(shown.id, use_case=asks)["released"]


def test_a_recalibration_of_another_booster_than_serves_is_refused(
    ledger: Ledger, ask: Release, ids: dict[str, str], shown: Bundle
):
    write(ledger, "promoted", ids["new"], ReleaseState(champion=ids["new"]))
    write(ledger, "gate_passed", shown.id)
    told = ask(shown.id)
    assert not told["released"]
    assert told["reason"] == f"{shown.id} recalibrates {ids['old']}, not what serves ({ids['new']}): recalibrate that"


@pytest.mark.parametrize("month", [5, 6])
def test_a_recalibration_by_no_newer_labels_than_the_serving_one_is_refused(
    ledger: Ledger, registry: InMemoryRegistry, ask: Release, bundles: dict[str, Bundle], shown: Bundle, month: int
):
    write(ledger, "promoted", shown.id, ReleaseState(champion=shown.id))
    older = recalibration(bundles["old"], datetime(2013, month, 1, tzinfo=UTC))
    older = Bundle(replace(older.manifest, threshold=0.4), older.files)
    registry.put(older)
    write(ledger, "gate_passed", older.id)
    told = ask(older.id)
    assert not told["released"]
    assert (
        f"{older.id} is calibrated through 2013-0{month}-01 00:00Z, champion {shown.id} through 2013-06-01 00:00Z"
        in told["reason"]
    )


def test_a_newer_training_takes_the_place_of_a_recalibration(ledger: Ledger, ask: Release, ids: dict[str, str], shown: Bundle):
    write(ledger, "promoted", shown.id, ReleaseState(champion=shown.id))
    write(ledger, "gate_passed", ids["new"])
    assert ask("new")["released"]


def test_a_trial_of_a_recalibration_gives_way_to_a_training_and_to_nothing_else(
    ledger: Ledger, registry: InMemoryRegistry, ask: Release, bundles: dict[str, Bundle], ids: dict[str, str], shown: Bundle
):
    on_trial = ReleaseState(champion=ids["old"], challenger=shown.id, rollout="r", stage=Stage.CANARY, weight=0.5)
    write(ledger, "advanced", shown.id, on_trial)
    newer = recalibration(bundles["old"], datetime(2013, 7, 1, tzinfo=UTC))
    registry.put(newer)
    write(ledger, "gate_passed", newer.id)
    assert not ask(newer.id)["released"]
    write(ledger, "gate_passed", ids["new"])
    assert ask("new")["released"]
    _, after = ledger.head("toys")
    assert (after.champion, after.challenger) == (ids["old"], ids["new"])


def test_each_release_meets_traffic_by_a_policy_of_its_kind(
    registry: InMemoryRegistry, ids: dict[str, str], shown: Bundle, toys: UseCase, use_case_with: Callable[..., UseCase]
):
    policy = RecalibrationPolicy()
    both = use_case_with(recalibration=policy)
    assert policy_of(registry, both, shown.id) is policy.rollout
    assert policy_of(registry, both, ids["old"]) is both.rollout
    assert policy_of(registry, both, None) is both.rollout
    assert policy_of(registry, toys, shown.id) is toys.rollout
