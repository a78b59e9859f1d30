"""One cluster for all tests of Spark."""

from collections.abc import Iterator
from typing import Any

import pytest

from everloop.adapters.spark.session import session
from fakes.spark_cluster import spark_master

__all__ = ["spark", "spark_master"]


@pytest.fixture(scope="session")
def spark(spark_master: str) -> Iterator[Any]:
    """A session with two executors of one core each."""
    made = session(spark_master)
    made.conf.set("spark.sql.shuffle.partitions", "2")
    yield made
    made.stop()
