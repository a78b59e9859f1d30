import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import somersd

from everloop.decide.statistics.clusters import Clusters
from everloop.decide.statistics.concordance import disordered

RNG = np.random.default_rng(4)


def codes(*entities):
    return np.array(entities, dtype=np.intp)


def scores(*values):
    return np.array(values, dtype=float)


def test_rows_are_paired_in_time_within_couples_of_entities_as_these_first_appear():
    # The couples are entities 7 and 2, and 5 alone. Their rows: 0, 1, 3, 5 and 2, 4, 6.
    entities = codes(7, 2, 5, 7, 5, 2, 5)
    theirs = scores(0.1, 0.2, 0.5, 0.4, 0.1, 0.3, 0.9)
    ours = scores(0.2, 0.1, 0.6, 0.4, 0.3, 0.3, 0.0)
    # The pairs are 0 and 1 (turned round), 3 and 5 (not), 2 and 4 (not); row 6 waits for another.
    assert disordered(ours, theirs, entities) == Clusters.of([2, 1], [1, 0])


def test_a_pair_that_theirs_does_not_order_is_none_and_one_that_ours_ties_is_half_a_hit():
    entities = codes(0, 1, 2, 3, 4, 5)
    theirs, ours = scores(0.1, 0.1, 0.1, 0.2, 0.3, 0.2), scores(0.1, 0.9, 0.5, 0.5, 0.8, 0.7)
    assert disordered(ours, theirs, entities) == Clusters.of([1, 1], [0.5, 0])


def test_of_many_rows_of_a_couple_each_is_paired_with_the_next_in_time():
    entities = np.concatenate([np.arange(6), RNG.integers(0, 6, 3_000)])
    ours = np.empty(len(entities))
    for couple in range(3):
        rows = np.flatnonzero(entities // 2 == couple)
        ours[rows] = np.arange(len(rows)) ^ 1  # 1, 0, 3, 2, 5, 4, ...: only neighbours are turned round
    found = disordered(ours, np.arange(len(entities), dtype=float), entities)
    assert found.rate == 1
    assert found.trials >= 1_500


@pytest.mark.parametrize("rows", [0, 1])
def test_below_two_rows_there_is_no_pair(rows):
    nothing = disordered(RNG.random(rows), RNG.random(rows), np.arange(rows))
    assert (nothing.units, nothing.trials, nothing.hits) == (0, 0, 0)


def test_two_entities_of_one_row_each_are_never_paired_across_couples():
    """Of three entities the third waits for a fourth."""
    assert disordered(scores(1, 2, 3), scores(1, 2, 3), codes(0, 1, 2)).trials == 1


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3), st.integers(0, 3)), max_size=30), st.integers(0, 30))
def test_pairs_of_a_look_stay_at_the_next(rows, cut):
    """So that a sequence may look as often as it likes."""
    entities, ours, theirs = (np.array(column, dtype=float) for column in np.array(rows).reshape(-1, 3).T)
    early, late = (disordered(ours[:n], theirs[:n], entities[:n].astype(np.intp)) for n in (cut, len(rows)))
    assert early.hits <= late.hits
    assert early.trials <= late.trials <= len(rows) // 2
    assert early.trials - early.hits <= late.trials - late.hits


def test_any_step_of_a_calibrator_leaves_the_order():
    theirs = RNG.random(2_000)
    assert disordered(theirs**3, theirs, np.arange(2_000)).hits == 0
    assert disordered(1 - theirs, theirs, np.arange(2_000)).rate == 1
    assert disordered(np.zeros(2_000), theirs, np.arange(2_000)).rate == 0.5


def test_the_rate_is_that_of_somers_d():
    theirs = RNG.integers(0, 9, 40_000)
    ours = theirs + RNG.integers(0, 9, 40_000)
    expected = (1 - somersd(theirs[:4_000], ours[:4_000]).statistic) / 2
    assert disordered(ours, theirs, np.arange(40_000)).rate == pytest.approx(expected, abs=0.015)


def test_what_an_entity_adds_to_its_rows_stays_in_one_unit():
    """One of eight entities has half of the rows, all turned round: it and its partner are one case."""
    entities = np.where(np.arange(800) % 2 == 0, 0, RNG.integers(1, 8, 800)).astype(np.intp)
    theirs = RNG.random(800)
    found = disordered(np.where(entities == 0, 1 - theirs, theirs), theirs, entities)
    assert found.units == 4
    assert found.trials <= 400
