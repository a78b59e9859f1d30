"""Both releases are equally good in every world, and each world has what it is named for."""

from datetime import timedelta

import numpy as np
import pytest

from benchmarks.aa.worlds import BLIP, WORLDS, traffic

LENGTH = timedelta(weeks=26)
MADE = [*WORLDS][2:]


@pytest.mark.parametrize("world", WORLDS)
def test_neither_release_fails_more_or_costs_more(flown, world):
    found = traffic(world, flown, 5, LENGTH)
    new, old = found.failing.mean(axis=1)
    assert new == pytest.approx(old, abs=0.004)
    costs = [np.where(found.label == 1, 3 * (scores < 0.25), scores >= 0.25).mean() for scores in found.scores]
    assert costs[0] == pytest.approx(costs[1], rel=0.03)


@pytest.mark.parametrize("world", WORLDS)
def test_a_salt_gives_the_same_traffic_each_time_and_another_one_another(flown, world):
    first, again, other = (traffic(world, flown, salt, LENGTH) for salt in (5, 5, 6))
    assert first.asked.tolist() == again.asked.tolist()
    assert (first.scores == again.scores).all()
    assert (first.failing == again.failing).all()
    assert first.latency.tolist() == again.latency.tolist()
    assert first.latency[:100].tolist() != other.latency[:100].tolist()


def test_rollouts_begin_in_all_weeks_of_the_year(flown):
    days = {traffic("same", flown, salt, timedelta(days=1)).asked[0].astype("datetime64[D]") for salt in range(200)}
    assert len(days) > 45
    assert {int((day - np.datetime64("2013-01-01")).astype(int)) % 7 for day in days} == {0}


def test_the_same_release_twice_scores_alike_and_two_do_not(flown):
    same, seeds = (traffic(world, flown, 5, LENGTH) for world in ("same", "seeds"))
    assert (same.scores[0] == same.scores[1]).all()
    assert (seeds.scores[0] != seeds.scores[1]).mean() > 0.95


def test_flags_name_the_views_that_are_absent(flown):
    found = traffic("same", flown, 5, LENGTH)
    assert set(found.flags) == {(), ("missing:aircraft", "missing:weather")}


def test_a_fifth_of_the_rows_is_one_entitys(flown):
    found = traffic("whale", flown, 5, LENGTH)
    big = found.entities[found.entity] == "whale"
    lacks = np.array([bool(flags) for flags in found.flags])
    assert big.mean() == pytest.approx(0.2, abs=0.02)
    assert (lacks[big].mean(), lacks[~big].mean()) == (pytest.approx(0.6, abs=0.03), 0.0)


def test_the_second_entity_has_half_the_rows_of_the_first(flown):
    found = traffic("zipf", flown, 5, LENGTH)
    sizes = np.bincount(found.entity)
    assert sizes[:10].sum() / len(found) == pytest.approx(2.93 / 9.09, abs=0.02)
    assert sizes[0] / sizes[1] == pytest.approx(2, rel=0.15)


def test_bursts_are_hours_in_which_both_releases_fail(flown):
    found = traffic("bursts", flown, 5, LENGTH)
    hour = found.asked.astype("datetime64[h]").astype(int)
    codes = np.unique(hour, return_inverse=True)[1]
    share = np.bincount(codes, weights=found.failing.mean(axis=0)) / np.bincount(codes)
    slow = np.bincount(codes, weights=found.latency) / np.bincount(codes)
    bad = slow > 50
    assert bad.sum() / (LENGTH / timedelta(weeks=1)) == pytest.approx(3, abs=1.2)
    assert share[bad].mean() == pytest.approx(0.33, abs=0.05)
    assert share[~bad].mean() < 0.01


@pytest.mark.parametrize(("world", "own"), [("hopeless", (BLIP, BLIP)), ("frail", (0.15, 0.15)), ("failing", (0.15, BLIP))])
def test_a_seventh_of_the_rows_is_one_entitys_that_no_release_can_answer(flown, world, own):
    found = traffic(world, flown, 5, LENGTH)
    never = found.entities[found.entity] == "hopeless"
    assert never.mean() == pytest.approx(1 / 7, abs=0.01)
    assert found.failing[:, never].all()
    assert found.failing[:, ~never].mean(axis=1) == pytest.approx(own, abs=0.01)


@pytest.mark.parametrize(("world", "part"), [("missing", 0.2), ("errors", 0.02)])
def test_what_is_missing_or_fails_is_nearly_a_property_of_the_entity(flown, world, part):
    found = traffic(world, flown, 5, LENGTH)
    hit = np.array([bool(flags) for flags in found.flags]) if world == "missing" else found.failing.all(axis=0)
    share = np.bincount(found.entity, weights=hit) / np.bincount(found.entity)
    assert ((share < 0.15) | (share > 0.8)).all()
    assert (share > 0.8).mean() == pytest.approx(part, abs=0.05)


def test_days_move_together(flown):
    found = traffic("days", flown, 5, LENGTH)
    day = np.unique(found.asked.astype("datetime64[D]"), return_inverse=True)[1]
    rates = np.bincount(day, weights=found.label) / np.bincount(day)
    alone = np.sqrt(rates.mean() * (1 - rates.mean()) / np.bincount(day).mean())
    assert rates.std() > 2 * alone
    apart = np.bincount(day, weights=found.scores[0] - found.scores[1]) / np.bincount(day)
    assert 0.3 < (apart > 0).mean() < 0.7


@pytest.mark.parametrize("world", MADE)
def test_made_traffic_fails_by_chance_beside(flown, world):
    assert traffic(world, flown, 5, LENGTH).failing.any(axis=1).all()
