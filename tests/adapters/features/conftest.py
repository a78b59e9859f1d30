"""The taxi world's feature store: Feast on our stores, and the fake that must behave alike."""

from __future__ import annotations

from pathlib import Path

import pytest

from everloop.adapters.features import FeastFeatures
from everloop.ports import Features
from fakes.lake import MemoryLake
from fakes.taxi import TAXI, memory_features

REPO = Path(__file__).with_name("repo")


@pytest.fixture
def lake() -> MemoryLake:
    return MemoryLake()


@pytest.fixture
def feast_features(lake: MemoryLake, everloop_database: str) -> FeastFeatures:
    features = FeastFeatures(REPO, TAXI, lake, everloop_database)
    features.apply()
    return features


@pytest.fixture(params=["feast", "memory"])
def features(request: pytest.FixtureRequest, lake: MemoryLake) -> Features:
    """Both must pass the same tests."""
    if request.param == "feast":
        return request.getfixturevalue("feast_features")
    memory = memory_features(lake)
    memory.apply()
    return memory
