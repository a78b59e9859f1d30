import math
from dataclasses import replace

import numpy as np
import pytest

from everloop.decide.policy import ServicePolicy
from everloop.decide.statistics.bursts import burst_quantile, burst_rate
from everloop.decide.statistics.estimate import Estimate
from everloop.decide.verdict import Outcome, Reason
from everloop.decide.watch.service import Units, error_rate, judge, latency_p99

POLICY = ServicePolicy(latency_ms=100.0, error_rate=0.01)
ROWS = np.arange(2_000)
ALONE = Units(bursts=ROWS, entities=ROWS)


def failing(places):
    return np.isin(ROWS, places)


def test_errors_are_told_by_the_wider_of_both_intervals():
    failed = failing(range(40))
    one_burst, one_entity = (replace(ALONE, **{name: np.maximum(ROWS, 39)}) for name in ("bursts", "entities"))
    found = [error_rate(failed, units, POLICY) for units in (ALONE, one_burst, one_entity)]
    assert [one.value for one in found] == [0.02] * 3
    wide = burst_rate(failed, np.maximum(ROWS, 39), 0.95)
    assert (found[1].low, found[1].high) == (wide.low, wide.high) == (found[2].low, found[2].high)
    assert (found[0].low > wide.low, found[0].high < wide.high) == (True, True)
    assert (found[0].rows, found[0].units, found[1].units) == (2_000, 2_000, 1_961)


def test_slowness_is_told_by_the_wider_of_both_intervals():
    latencies = np.where(ROWS < 40, 200.0 + ROWS, 5.0)
    bursts = np.maximum(ROWS, 39)
    found = latency_p99(latencies, replace(ALONE, bursts=bursts), POLICY)
    together, alone = (burst_quantile(latencies, units, 0.99, 0.95) for units in (bursts, ROWS))
    assert found.value == together.value == alone.value
    assert (found.low, found.high) == (min(together.low, alone.low), max(together.high, alone.high))
    assert (found.low, found.units) == (5.0, 1_961)


def test_of_two_that_begin_alike_the_one_that_reaches_further_counts():
    never, two = failing([]), replace(ALONE, entities=ROWS % 2)
    found = error_rate(never, two, POLICY)
    assert (found.low, found.high, found.units) == (0.0, burst_rate(never, ROWS % 2, 0.95).high, 2)
    assert found.high > error_rate(never, ALONE, POLICY).high


def test_one_entity_says_nothing_of_how_entities_differ_but_one_burst_is_all_there_is():
    failed, one = failing(range(40)), np.zeros(2_000, dtype=int)
    assert error_rate(failed, replace(ALONE, entities=one), POLICY) == error_rate(failed, ALONE, POLICY)
    burst = error_rate(failed, replace(ALONE, bursts=one), POLICY)
    assert (burst.low, burst.high, burst.units) == (0.0, 1.0, 1)
    assert latency_p99(ROWS / 1.0, replace(ALONE, bursts=one), POLICY).high == math.inf


def test_the_interval_is_as_sure_as_the_policy_says():
    sure, surer = (error_rate(failing(range(40)), ALONE, replace(POLICY, confidence=c)) for c in (0.95, 0.99))
    assert surer.low < sure.low < sure.high < surer.high
    slow, slower = (latency_p99(ROWS / 1.0, ALONE, replace(POLICY, confidence=c)) for c in (0.95, 0.99))
    assert slower.low < slow.low < slow.high < slower.high


def measured(low, high, rows=2_000):
    return Estimate(value=(low + high) / 2 if math.isfinite(low + high) else 1.0, low=low, high=high, rows=rows, units=90)


@pytest.mark.parametrize(
    ("found", "outcome"),
    [
        (measured(0.011, 0.02), Outcome.FAIL),
        (measured(0.01, 0.02), Outcome.INCONCLUSIVE),
        (measured(0.001, 0.0101), Outcome.INCONCLUSIVE),
        (measured(0.001, 0.01), Outcome.PASS),
        (measured(0.5, 0.9, rows=367), Outcome.INCONCLUSIVE),
        (measured(0.5, 0.9, rows=368), Outcome.FAIL),
        (measured(0.0, 0.0, rows=367), Outcome.INCONCLUSIVE),
        (measured(-math.inf, math.inf), Outcome.INCONCLUSIVE),
    ],
)
def test_a_level_is_judged_by_where_its_whole_interval_lies(found, outcome):
    assert judge("error_rate", found, 0.01, POLICY).outcome is outcome


def test_what_was_judged_is_told_in_words_and_numbers():
    numbers = {"value": 150.0, "low": 120.0, "high": 180.0, "limit": 100.0, "rows": 2_000, "units": 90}
    text = "latency_p99 150 [120, 180], limit 100, of 2000 answers"
    assert judge("latency_p99", measured(120.0, 180.0), 100.0, POLICY) == Reason(
        "service.latency_p99", Outcome.FAIL, text, numbers
    )
    few = judge("error_rate", measured(0.125, math.inf, rows=10), 0.001, POLICY)
    told = {"value": 1.0, "low": 0.125, "high": math.inf, "limit": 0.001, "rows": 10, "units": 90}
    text = "10 answers are too few to judge error_rate (1 [0.125, ?], limit 0.001): 368 wanted"
    assert few == Reason("service.error_rate", Outcome.INCONCLUSIVE, text, told)
    kept = judge("error_rate", measured(0.25, 0.75), 0.75, POLICY)
    text = "error_rate 0.5 [0.25, 0.75], limit 0.75, of 2000 answers"
    told = {"value": 0.5, "low": 0.25, "high": 0.75, "limit": 0.75, "rows": 2_000, "units": 90}
    assert kept == Reason("service.error_rate", Outcome.PASS, text, told)


def test_an_answer_in_a_hundred_that_fails_is_shown_and_none_of_few_is_not():
    assert judge("error_rate", error_rate(failing(range(0, 2_000, 25)), ALONE, POLICY), 0.01, POLICY).outcome is Outcome.FAIL
    assert judge("error_rate", error_rate(failing([]), ALONE, POLICY), 0.01, POLICY).outcome is Outcome.PASS
    assert judge("error_rate", error_rate(failing([]), ALONE, POLICY), 0.001, POLICY).outcome is Outcome.INCONCLUSIVE
