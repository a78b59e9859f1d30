"""A small year of made flights, every part of it as the real one has."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.aa.flown import RING, Flown

ROWS, ENTITIES = 36_400, 300


@pytest.fixture(scope="package")
def flown() -> Flown:
    """A hundred flights a day, of 300 entities, asked for as evenly as a clock."""
    chance = np.random.default_rng(1)
    asked = np.datetime64("2013-01-01T00:00", "us") + np.arange(ROWS) * (np.timedelta64(RING, "us") // ROWS)
    chances = chance.beta(1, 3, ROWS)
    return Flown(
        asked=asked,
        known=asked + np.timedelta64(8, "h"),
        label=(chance.random(ROWS) < chances).astype(float),
        entity=chance.integers(ENTITIES, size=ROWS),
        entities=np.array([f"e{number}" for number in range(ENTITIES)]),
        missing=(chance.random(ROWS) < 0.1).astype(int),
        patterns=np.array(["", "aircraft,weather"]),
        origin=chance.choice(["EWR", "JFK"], ROWS),
        scores=np.clip(chances + chance.normal(0, 0.05, (3, ROWS)), 0.001, 0.999),
        views=np.array(["aircraft", "weather"]),
    )
