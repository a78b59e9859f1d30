"""The size of an experiment follows from what the log shows of the release that serves."""

from __future__ import annotations

import pytest

from everloop.decide.policy import Covariate, Metric
from everloop.decide.release.state import ReleaseState, Stage
from everloop.errors import ConfigurationError, DataError, ReleaseError
from everloop.steps import experiment
from steps.experiment.conftest import World


def size(world: World, **changes: object) -> object:
    return experiment.size(world.traffic, world.registry, world.use_case, world.plan(**changes), days=7)


def test_rows_labels_and_days_follow_from_the_traffic(world: World) -> None:
    world.users(count=700)
    found = size(world, effect=0.1)
    assert found.requests == pytest.approx(found.rows, abs=1)
    assert found.days == pytest.approx(7 * found.rows / 1_400, rel=0.01)
    assert size(world, effect=0.05).days > 3 * found.days


def test_cuped_is_counted_on_for_what_labels_show_and_not_for_the_controls_own_selections(world: World) -> None:
    world.users(count=700)
    assert size(world, covariate=Covariate.CONTROL).rows < size(world, covariate=Covariate.NONE).rows
    sizes = {size(world, metric=Metric.SELECTION_RATE, covariate=covariate).rows for covariate in Covariate}
    assert len(sizes) == 1


def test_a_log_that_shows_too_little_gives_no_size(world: World) -> None:
    with pytest.raises(DataError, match="holds no request"):
        size(world)
    world.users(count=30, wrong=0.0)
    with pytest.raises(DataError, match=r"60 rows answered by .* too few with a cost that varies"):
        size(world)


def test_a_plan_that_does_not_hold_together_is_not_sized(world: World) -> None:
    world.users(count=30)
    with pytest.raises(ConfigurationError, match="weight is 2"):
        size(world, weight=2.0)
    with pytest.raises(ConfigurationError, match="no slices"):
        size(world, segments=("shape",))


def test_the_control_is_the_champion_and_the_treatment_what_was_spoken_of_last(world: World) -> None:
    assert experiment.releases(world.ledger, world.use_case) == (world.ids["old"], None)
    world.put(ReleaseState(champion=world.ids["old"], challenger=world.ids["new"], stage=Stage.CHECK))
    world.put(ReleaseState(champion=world.ids["old"]))
    assert experiment.releases(world.ledger, world.use_case) == (world.ids["old"], world.ids["new"])
    world.put(ReleaseState())
    with pytest.raises(ReleaseError, match="No release of toys serves"):
        experiment.releases(world.ledger, world.use_case)
