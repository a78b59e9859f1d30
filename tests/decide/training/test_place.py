from __future__ import annotations

from dataclasses import replace

import pytest

from everloop.decide.policy import TrainingPolicy
from everloop.decide.training.place import choose, local
from everloop.errors import ConfigurationError

SMALL = TrainingPolicy(memory_mb=4)


def test_a_set_within_the_budget_stays_in_memory_and_one_above_it_goes_to_disk() -> None:
    assert local(SMALL, 100_000, 10).external is False
    above = local(SMALL, 100_001, 10)
    assert above.external is True
    assert "above TrainingPolicy.memory_mb of 4" in above.because


@pytest.mark.parametrize("cluster", [True, False])
def test_one_worker_is_this_machine_whether_there_is_a_cluster_or_not(cluster: bool) -> None:
    assert choose(SMALL, 1_000, 10, cluster=cluster) == local(SMALL, 1_000, 10)


def test_workers_asked_for_outright_fit_on_the_cluster_at_any_size() -> None:
    assert choose(replace(SMALL, workers=3), 10, 10, cluster=True).workers == 3


def test_workers_asked_for_outright_without_a_cluster_are_an_error() -> None:
    with pytest.raises(ConfigurationError, match=r"workers is 3, and EVERLOOP_SPARK names no cluster: set it to one"):
        choose(replace(SMALL, workers=3), 10, 10, cluster=False)


def test_workers_by_size_fit_from_that_size_on() -> None:
    policy = replace(SMALL, workers=2, spark_rows=1_000)
    assert choose(policy, 999, 10, cluster=True) == local(policy, 999, 10)
    assert choose(policy, 1_000, 10, cluster=True).workers == 2


def test_workers_by_size_without_a_cluster_are_pages_on_disk_and_said_so() -> None:
    found = choose(replace(SMALL, workers=2, spark_rows=1_000), 1_000, 10, cluster=False)
    assert (found.workers, found.external) == (1, True)
    assert found.because.endswith("EVERLOOP_SPARK names no cluster: fitted from pages on disk")
