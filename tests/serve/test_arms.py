"""Assignment: sticky, of the right size, independent between rollouts."""

from __future__ import annotations

import numpy as np
import pytest

from everloop.decide.release.state import ReleaseState, Stage
from everloop.serve.arms import CHALLENGER, CHAMPION, assign, bucket

ENTITIES = [f"AA|{n}" for n in range(20_000)]


def state(**changes: object) -> ReleaseState:
    given = {"champion": "a", "challenger": "b", "rollout": "r1", "stage": Stage.CANARY, "weight": 0.25}
    return ReleaseState(**{**given, **changes})  # type: ignore[arg-type]


def test_an_entity_stays_on_its_arm_and_a_growing_weight_only_adds() -> None:
    at_5 = {e for e in ENTITIES if assign(state(weight=0.05), e, "k", 0).arm == CHALLENGER}
    at_25 = {e for e in ENTITIES if assign(state(weight=0.25), e, "other", 0).arm == CHALLENGER}
    assert at_5 < at_25
    assert len(at_25) / len(ENTITIES) == pytest.approx(0.25, abs=0.01)


def test_buckets_of_two_salts_are_independent() -> None:
    first, second = (np.array([bucket(salt, e) for e in ENTITIES]) for salt in ("r1", "r2"))
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.03
    assert abs(np.corrcoef(first, [bucket("r1/shadow", e) for e in ENTITIES])[0, 1]) < 0.03


def test_the_shadow_sample_has_its_share_and_depends_on_the_key_alone() -> None:
    sampled = [assign(state(), "AA|1", f"key{n}", 0.2).shadow for n in range(5_000)]
    assert np.mean(sampled) == pytest.approx(0.2, abs=0.02)
    assert assign(state(), "AA|1", "k", 0.2).shadow == assign(state(), "BB|2", "k", 0.2).shadow


@pytest.mark.parametrize("stage", [Stage.IDLE, Stage.CHECK])
def test_before_the_shadow_stage_nothing_but_the_champion_sees_traffic(stage: Stage) -> None:
    found = assign(state(stage=stage, weight=1.0), "AA|1", "k", 1.0)
    assert (found.arm, found.shadow) == (CHAMPION, False)


def test_in_shadow_and_watch_the_champion_answers_and_the_other_is_scored_beside() -> None:
    for there in (state(stage=Stage.SHADOW, weight=1.0), state(stage=Stage.WATCH, challenger=None, previous="z", weight=1.0)):
        found = assign(there, "AA|1", "k", 1.0)
        assert (found.arm, found.shadow) == (CHAMPION, True)


def test_weights_of_nought_and_one_are_exact() -> None:
    assert {assign(state(weight=0.0), e, "k", 0).arm for e in ENTITIES} == {CHAMPION}
    assert {assign(state(weight=1.0), e, "k", 0).arm for e in ENTITIES} == {CHALLENGER}
