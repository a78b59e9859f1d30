import json

import pytest

from benchmarks import aa_traffic
from benchmarks.aa_traffic import exact, false_alarm, summary


def ended(how, checks=(), excess=0.0, salt=0):
    return {"how": how, "checks": list(checks), "excess": excess, "salt": salt, "looks": 10, "why": f"why {salt}"}


@pytest.mark.parametrize(
    ("one", "false"),
    [
        (ended("rolled_back", ["rollout.missing"]), True),
        (ended("rolled_back", ["rollout.missing"], excess=0.5), True),
        (ended("rolled_back", ["rollout.cost"], excess=0.02), True),
        (ended("rolled_back", ["rollout.cost"], excess=0.021), False),
        (ended("rolled_back", ["rollout.cost", "rollout.errors"], excess=0.021), True),
        (ended("stopped", ["experiment.errors"]), True),
        (ended("paused", ["rollout.missing"]), False),
        (ended("promoted"), False),
        (ended("inconclusive"), False),
    ],
)
def test_a_rollback_is_false_but_for_a_cost_beyond_the_margin(one, false):
    assert false_alarm(one) is false


def test_the_interval_is_that_of_clopper_and_pearson():
    # Brown, Cai & DasGupta (2001), Interval estimation for a binomial proportion; 0 of n: 1 - 0.025 ** (1 / n).
    assert exact(0, 500) == (0.0, pytest.approx(1 - 0.025 ** (1 / 500)))
    assert exact(500, 500) == (pytest.approx(0.025 ** (1 / 500)), 1.0)
    assert exact(10, 100) == (pytest.approx(0.0490, abs=5e-5), pytest.approx(0.1762, abs=5e-5))


def test_a_summary_tells_how_many_ended_how_and_the_first_of_each():
    found = summary(
        [
            ended("promoted"),
            ended("rolled_back", ["rollout.missing"], salt=3),
            ended("rolled_back", ["rollout.missing"], salt=4),
            ended("rolled_back", ["rollout.cost"], excess=0.1, salt=5),
            ended("stuck", ["rollout.errors", "rollout.missing"], salt=6),
        ]
    )
    assert found["count"] == 5
    assert found["how"] == {"promoted": 1, "rolled_back": 3, "stuck": 1}
    assert found["costlier than the margin"] == 1
    assert found["why"]["rolled_back: rollout.missing"] == {"count": 2, "salt": 3, "as": "why 3"}
    assert found["why"]["stuck: rollout.errors, rollout.missing"]["count"] == 1


def test_both_sides_are_recorded_and_this_one_is_held_against_what_is_promised(tmp_path, monkeypatch):
    def measured(flown, cases, salts, plugins):
        stuck = [ended("stuck")] if plugins == aa_traffic.PLUGINS else []
        return [
            {"world": world, "policy": policy, **one} for world, policy in cases for one in [ended("promoted")] * salts + stuck
        ]

    monkeypatch.setattr(aa_traffic, "_measured", measured)
    monkeypatch.setattr(aa_traffic, "prepared", lambda: tmp_path / "flown.npz")
    aa_traffic.run([("same", "flights"), ("whale", "experiment")], 99, 9, tmp_path)
    told = json.loads((tmp_path / "aa_traffic.json").read_text())
    assert set(told["ratios"]) == {
        "false rollbacks, upper end / promised: same, flights",
        "stuck or paused / 2 %: same, flights",
        "guardrails' false alarms, upper end / promised: whale, experiment",
    }
    assert told["ratios"]["stuck or paused / 2 %: same, flights"]["value"] == pytest.approx(0.5)
    assert told["ratios"]["false rollbacks, upper end / promised: same, flights"]["value"] == pytest.approx(
        (1 - 0.025 ** (1 / 100)) / 0.05
    )
    assert {side.partition(":")[0] for side in told["samples"]} == {"now", "before (4a21e42)"}
