"""An Airflow of the tests' own, and the use case of the shipped DAG file."""

from __future__ import annotations

import pytest

import airflow_home  # noqa: F401
from everloop.catalog import use_case
from everloop.use_case import UseCase


@pytest.fixture(scope="session")
def flights() -> UseCase:
    return use_case("flights")
