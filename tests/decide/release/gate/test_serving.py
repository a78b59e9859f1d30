from __future__ import annotations

import pytest

from everloop.decide.policy import GatePolicy, RolloutPolicy
from everloop.decide.release.evidence import LoadCheck
from everloop.decide.release.gate import served
from everloop.decide.verdict import Outcome, Reason

ROLLOUT = RolloutPolicy(check_latency_ms=10)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (LoadCheck(rows=20, latency_ms=3.0), Outcome.PASS),
        (LoadCheck(rows=20, latency_ms=30.0), Outcome.FAIL),
        (LoadCheck(rows=20, unusable=1), Outcome.FAIL),
        (LoadCheck(refused="no such view"), Outcome.FAIL),
        (LoadCheck(), Outcome.INCONCLUSIVE),
    ],
)
def test_the_scorers_word_is_one_of_the_gates_reasons(found: LoadCheck, expected: Outcome) -> None:
    (reason,) = served(found, ROLLOUT, GatePolicy())
    assert (reason.check, reason.outcome) == ("gate.scorer", expected)


def test_a_scorer_out_of_reach_is_left_to_the_rollout_unless_the_policy_wants_it() -> None:
    away = LoadCheck(unreachable="connection refused")
    assert served(away, ROLLOUT, GatePolicy()) == []
    (reason,) = served(away, ROLLOUT, GatePolicy(require_scorer=True))
    assert reason == Reason("gate.scorer", Outcome.INCONCLUSIVE, "the scorer could not be asked: connection refused")
