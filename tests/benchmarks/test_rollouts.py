from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks import false_rollbacks
from benchmarks.interval_rule import IntervalRule
from benchmarks.rollback_power import COSTLIER, costlier, paired, unpaired
from benchmarks.streams import EQUAL, World, play
from everloop.decide.policy import RolloutPolicy
from everloop.decide.release.rollout import Kind


def test_a_few_rollouts_are_played_and_recorded(tmp_path):
    false_rollbacks.run(4, tmp_path)
    found = json.loads((tmp_path / "false_rollbacks.json").read_text())
    assert found["facts"]["looks a rollout"] == 50
    assert {ratio["target"] for ratio in found["ratios"].values()} == {1.0}
    assert all(0 <= side["share"][0] <= 1 for side in found["samples"].values())


@pytest.mark.parametrize("cells", [EQUAL, COSTLIER])
def test_the_chances_of_a_stream_are_chances(cells):
    assert sum(share for _, _, share in cells) == pytest.approx(1)
    assert min(share for _, _, share in cells) >= 0


def test_equal_models_cost_the_same():
    assert sum((new - old) * share for new, old, share in EQUAL) == pytest.approx(0)


def test_a_costlier_challenger_costs_exactly_that_much_more_and_pairs_show_it_sooner():
    pairs, chances = np.array([cell[:2] for cell in EQUAL]), np.array([cell[2] for cell in EQUAL])
    moved = costlier(pairs, chances, 0.05)
    assert moved.sum() == pytest.approx(1)
    assert (moved @ pairs[:, 0]) / (moved @ pairs[:, 1]) == pytest.approx(1.05)
    assert paired(pairs, moved, 0) < unpaired(pairs, moved, 0)


def test_both_stop_a_release_that_fails_every_tenth_request():
    world, policy = World(requests=10_000, minutes=40, errors=(0.1, 0.005)), RolloutPolicy()
    assert play(world, policy, np.random.default_rng(1)).ended is Kind.ROLL_BACK
    assert IntervalRule().play(world, policy.steps, np.random.default_rng(1))[0]
