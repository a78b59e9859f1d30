from __future__ import annotations

from dataclasses import replace

import pytest

from everloop.decide.policy import TrainingPolicy
from everloop.decide.training.place import choose, local
from everloop.errors import ConfigurationError

SMALL = TrainingPolicy(memory_mb=4)


def test_a_set_within_the_budget_stays_in_memory_and_one_above_it_goes_to_disk() -> None:
    within, above = local(SMALL, 100_000, 10), local(SMALL, 100_001, 10)
    assert (within.external, above.external) == (False, True)
    assert within.because == "100000 rows of 10 columns are 4 MB, within TrainingPolicy.memory_mb of 4"
    assert above.because == "100001 rows of 10 columns are 4 MB, above TrainingPolicy.memory_mb of 4"


def test_a_megabyte_is_a_million_bytes() -> None:
    assert local(replace(SMALL, memory_mb=4_000), 100_000_000, 10).external is False
    assert local(replace(SMALL, memory_mb=4_000), 100_000_001, 10).external is True


@pytest.mark.parametrize("cluster", [True, False])
def test_one_worker_is_this_machine_whether_there_is_a_cluster_or_not(cluster: bool) -> None:
    assert choose(SMALL, 1_000, 10, cluster=cluster) == local(SMALL, 1_000, 10)


def test_workers_asked_for_outright_fit_on_the_cluster_at_any_size() -> None:
    found = choose(replace(SMALL, workers=3), 10, 10, cluster=True)
    assert (found.workers, found.external, found.because) == (3, False, "TrainingPolicy.workers is 3")


def test_workers_asked_for_outright_without_a_cluster_are_an_error() -> None:
    with pytest.raises(ConfigurationError) as raised:
        choose(replace(SMALL, workers=3), 10, 10, cluster=False)
    assert str(raised.value) == (
        "TrainingPolicy.workers is 3, and EVERLOOP_SPARK names no cluster: set it to one (spark://host:7077), set workers to 1, "
        "or give spark_rows, so that smaller sets are fitted on this machine"
    )


def test_workers_by_size_fit_from_that_size_on() -> None:
    policy = replace(SMALL, workers=2, spark_rows=1_000)
    assert choose(policy, 999, 10, cluster=True) == local(policy, 999, 10)
    found = choose(policy, 1_000, 10, cluster=True)
    assert (found.workers, found.because) == (
        2,
        "TrainingPolicy.workers is 2 from 1000 rows on, and there are 1000",
    )


def test_workers_by_size_without_a_cluster_are_pages_on_disk_and_said_so() -> None:
    found = choose(replace(SMALL, workers=2, spark_rows=1_000), 1_000, 10, cluster=False)
    assert (found.workers, found.external) == (1, True)
    assert found.because.endswith("EVERLOOP_SPARK names no cluster: fitted from pages on disk")
