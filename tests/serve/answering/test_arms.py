"""Assignment: sticky, of the right size, independent between rollouts."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from scipy.stats import chi2_contingency

from everloop.decide.experiment.course import name_of
from everloop.decide.release.state import ReleaseState, Stage
from everloop.serve.answering.arms import CHALLENGER, CHAMPION, assign, bucket

ARMS = (CHAMPION, CHALLENGER)
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


def test_an_experiment_assigns_its_weight_and_keeps_each_entity_where_it_is() -> None:
    there = state(stage=Stage.EXPERIMENT, weight=0.3, rollout="toys/20260301T120000-lower")
    treated = {e for e in ENTITIES if assign(there, e, "k", 0).arm == CHALLENGER}
    assert len(treated) / len(ENTITIES) == pytest.approx(0.3, abs=0.01)
    assert treated == {e for e in ENTITIES if assign(there, e, "other key", 0).arm == CHALLENGER}


def test_experiments_in_two_layers_and_two_runs_of_one_are_independent() -> None:
    """Chi-squared of the two by two tables of entities: no more mismatch than chance gives (p above 0.001)."""
    moment = datetime(2026, 3, 1, 12, tzinfo=UTC)
    salts = [
        name_of(layer, name, moment + n * timedelta(days=1))
        for layer in ("flights", "claims")
        for name in ("lower", "higher")
        for n in range(2)
    ]
    arms = [[assign(state(stage=Stage.EXPERIMENT, rollout=salt), e, "k", 0).arm for e in ENTITIES] for salt in salts]
    for first, second in itertools.combinations(arms, 2):
        table = [[sum(a == i and b == j for a, b in zip(first, second, strict=True)) for j in ARMS] for i in ARMS]
        assert chi2_contingency(table).pvalue > 0.001
