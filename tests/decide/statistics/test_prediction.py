import math

import numpy as np
import pytest

from everloop.decide.statistics.prediction import Sample


def test_a_sample_is_told_by_its_mean_and_deviation():
    found = Sample.of([1.0, 2.0, 6.0])
    assert (found.mean, found.count) == (3.0, 3)
    assert found.deviation == pytest.approx(math.sqrt(7))


def test_the_limit_is_students_quantile_times_the_error_of_one_more_value():
    # t of 9 degrees of freedom: 1.833 exceeded by 5 %, 2.821 by 1 % (any table)
    found = Sample(mean=10.0, deviation=2.0, count=10)
    assert found.upper(0.05) == pytest.approx(10 + 1.833 * 2 * math.sqrt(1.1), abs=1e-3)
    assert found.upper(0.01) == pytest.approx(10 + 2.821 * 2 * math.sqrt(1.1), abs=1e-3)
    assert found.upper(0.5) == pytest.approx(10)


def test_values_that_never_differ_are_their_own_limit():
    assert Sample.of([0.5] * 8).upper(0.001) == 0.5


@pytest.mark.filterwarnings("error")
def test_one_value_limits_nothing():
    assert math.isnan(Sample.of([3.0]).deviation)
    assert Sample.of([3.0]).upper(0.05) == math.inf
    assert Sample.of([3.0, 3.0]).upper(0.05) == 3.0


@pytest.mark.parametrize(("count", "level"), [(8, 0.05), (12, 0.01), (30, 0.05)])
def test_one_more_value_of_a_normal_population_exceeds_the_limit_as_often_as_said(count, level):
    rng = np.random.default_rng(count)
    exceeded = [rng.normal(3, 2) > Sample.of(rng.normal(3, 2, count).tolist()).upper(level) for _ in range(20_000)]
    assert np.mean(exceeded) == pytest.approx(level, abs=4 * math.sqrt(level / 20_000))
