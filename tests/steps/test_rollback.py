"""Going back: to the right release, at once, and only once."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from everloop.decide.release.state import ReleaseState, Stage
from everloop.errors import ReleaseError
from everloop.ports import Decision
from everloop.steps import rollback
from everloop.use_case import UseCase
from fakes.ledger import InMemoryLedger
from fakes.registry import InMemoryRegistry

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Desk:
    """A person at the ledger of one use case."""

    def __init__(self, use_case: UseCase, registry: InMemoryRegistry) -> None:
        self.use_case, self.registry, self.ledger, self.now = use_case, registry, InMemoryLedger(), NOW

    def put(self, *champions: str, state: ReleaseState | None = None) -> None:
        for after in [ReleaseState(champion=champion) for champion in champions] + ([state] if state else []):
            seq, _ = self.ledger.head("toys")
            decision = Decision(actor="everloop", action="promoted", subject=after.champion or "none", after=after, reason="so")
            self.ledger.append("toys", decision, expected=seq, at=self.now)

    def do(self, what: str, actor: str = "ann", reason: str = "complaints", **options: Any) -> dict[str, Any]:
        self.now += timedelta(minutes=1)
        call = getattr(rollback, what)
        return call(self.ledger, self.registry, self.use_case, actor=actor, reason=reason, now=self.now, **options)

    @property
    def state(self) -> ReleaseState:
        return self.ledger.head("toys")[1]

    @property
    def rows(self) -> int:
        return len(self.ledger.entries("toys"))


@pytest.fixture
def desk(toys: UseCase, registry: InMemoryRegistry) -> Desk:
    return Desk(toys, registry)


def canary(ids: dict[str, str]) -> ReleaseState:
    return ReleaseState(
        champion=ids["new"], challenger=ids["newer"], rollout="t1", stage=Stage.CANARY, step=1, weight=0.5, since=NOW
    )


def test_a_revert_goes_to_the_champion_before(desk: Desk, ids: dict[str, str]):
    desk.put(ids["old"], ids["new"])
    result = desk.do("revert")
    assert (result["action"], result["champion"], result["stage"], result["mirrored"]) == ("reverted", ids["old"], "idle", True)
    assert desk.registry.aliases == {"champion": ids["old"]}
    entry = desk.ledger.entries("toys")[-1]
    assert (entry.subject, entry.actor, entry.reason) == (ids["new"], "ann", "ann: complaints")


def test_a_repeated_revert_is_the_same_one_and_not_a_second_step_back(desk: Desk, ids: dict[str, str]):
    desk.put(ids["old"], ids["new"], ids["newer"])
    desk.do("revert")
    again = desk.do("revert")
    assert (again["action"], again["champion"]) == ("wait", ids["new"])
    assert "name the release in `to`" in again["reason"]
    assert desk.rows == 4


def test_a_second_revert_for_another_reason_goes_one_further_and_never_forward(desk: Desk, ids: dict[str, str]):
    desk.put(ids["old"], ids["new"], ids["newer"])
    desk.do("revert")
    assert desk.do("revert", reason="this one too")["champion"] == ids["old"]
    with pytest.raises(ReleaseError, match="no champion before the present one"):
        desk.do("revert", reason="and again")


def test_nothing_leads_back_to_a_release_that_was_reverted(desk: Desk, ids: dict[str, str]):
    desk.put(ids["old"], ids["new"])
    desk.do("revert")
    desk.put(ids["newer"])
    assert desk.do("revert")["champion"] == ids["old"]


def test_a_revert_names_any_release_that_was_champion(desk: Desk, ids: dict[str, str]):
    desk.put(ids["old"], ids["new"], ids["newer"])
    assert desk.do("revert", to=ids["old"])["champion"] == ids["old"]
    again = desk.do("revert", to=ids["old"], reason="for sure")
    assert (again["action"], "serves already" in again["reason"]) == ("wait", True)
    assert desk.do("revert", to=ids["newer"])["champion"] == ids["newer"]


def test_a_revert_ends_what_is_on_trial(desk: Desk, ids: dict[str, str]):
    desk.put(ids["old"], ids["new"], state=canary(ids))
    desk.do("revert")
    assert desk.state == ReleaseState(champion=ids["old"], since=desk.now)


def test_a_revert_in_the_watch_goes_to_the_previous_champion(desk: Desk, ids: dict[str, str]):
    desk.put(ids["old"], state=ReleaseState(champion=ids["new"], previous=ids["old"], rollout="t1", stage=Stage.WATCH))
    assert desk.do("revert")["champion"] == ids["old"]


@pytest.mark.parametrize(("to", "words"), [("newer", "never was champion"), (None, "there is nothing to go back to")])
def test_where_nothing_stood_before_nothing_is_reverted(desk: Desk, ids: dict[str, str], to: str | None, words: str):
    desk.put(ids["old"])
    with pytest.raises(ReleaseError, match=words):
        desk.do("revert", to=to and ids[to])
    assert desk.rows == 1


def test_a_release_whose_bytes_are_gone_is_not_reverted_to(desk: Desk, ids: dict[str, str]):
    desk.put("0123456789abcdef", ids["new"])
    with pytest.raises(ReleaseError, match="not in the store"):
        desk.do("revert")
    assert desk.state.champion == ids["new"]


def test_a_registry_that_is_down_does_not_stop_a_revert(desk: Desk, ids: dict[str, str]):
    desk.put(ids["old"], ids["new"])
    desk.registry.down = True
    result = desk.do("revert")
    assert (result["champion"], result["mirrored"]) == (ids["old"], False)


def test_a_pause_takes_the_challenger_out_of_the_traffic_and_a_resume_puts_it_back(desk: Desk, ids: dict[str, str]):
    desk.put(state=canary(ids))
    assert desk.do("pause")["weight"] == 0
    assert (desk.state.stage, desk.state.resume) == (Stage.PAUSED, Stage.CANARY)
    assert desk.do("pause")["seq"] is None
    resumed = desk.do("resume")
    assert (resumed["action"], resumed["stage"], resumed["weight"]) == ("resumed", "canary", 0.5)
    assert desk.do("resume")["action"] == "wait"
    assert desk.rows == 3


def test_a_skip_goes_on_to_the_next_stage_in_the_name_of_who_asked(desk: Desk, ids: dict[str, str]):
    desk.put(state=canary(ids))
    skipped = desk.do("skip")
    assert (skipped["action"], skipped["stage"], skipped["champion"]) == ("skipped", "watch", ids["newer"])
    final = desk.do("skip")
    assert (final["action"], final["stage"], final["champion"]) == ("skipped", "idle", ids["newer"])
    assert desk.do("skip")["action"] == "wait"


def test_an_abort_sends_all_traffic_to_the_champion(desk: Desk, ids: dict[str, str]):
    desk.put(state=canary(ids))
    result = desk.do("abort")
    assert (result["action"], result["champion"], result["challenger"], result["stage"]) == (
        "rolled_back",
        ids["new"],
        None,
        "idle",
    )
    assert desk.do("abort")["action"] == "wait"
