"""What the benchmark of small use cases draws and counts, on made rows."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import small_data
from benchmarks.record import Record
from benchmarks.small_data import DEFAULT, SMALL, Decided, Pair
from everloop.decide.verdict import Outcome


def made(days: int = 20, entities: int = 100) -> Pair:
    """Each entity once a day."""
    rows = days * entities
    scores = np.random.default_rng(1).random(rows)
    return Pair(
        champion=scores,
        candidate=scores,
        labels=scores > 0.5,
        entities=np.tile(np.arange(entities), days),
        days=tuple(np.arange(day * entities, (day + 1) * entities) for day in range(days)),
        truth=0.0,
    )


def test_a_use_case_has_whole_days_of_whole_entities_and_about_the_labels_asked_for() -> None:
    pair = made()
    rows, units = small_data._drawn(pair, 700, 28, np.random.default_rng(2))
    assert len(rows) == pytest.approx(700, rel=0.4)
    kept = set(pair.entities[rows])
    assert len(set(units)) == 28
    for day in range(28):
        assert set(pair.entities[rows[units == day]]) == kept
    assert len({rows[units == day][0] for day in range(28)}) < 28  # drawn with replacement


def decided(truth: float, small: Outcome, default: Outcome, weeks: int | None) -> Decided:
    return Decided(truth, 700, {SMALL: small, DEFAULT: default}, {SMALL: weeks, DEFAULT: None})


def test_shares_are_counted_by_what_is_true() -> None:
    record, wait = Record("small_data"), Outcome.INCONCLUSIVE
    found = [
        decided(-0.05, Outcome.PASS, wait, 2),
        decided(-0.03, Outcome.PASS, Outcome.PASS, 4),
        decided(0.0, Outcome.PASS, wait, 3),
        decided(0.04, Outcome.PASS, wait, 3),
        decided(0.06, Outcome.FAIL, Outcome.FAIL, None),
    ]
    small_data._tell(record, found, weeks=26)
    shares = {side: numbers["share"] for side, numbers in record.samples.items()}
    assert shares[f"{SMALL}: pass, better by more than the margin"] == [1.0]
    assert shares[f"{DEFAULT}: inconclusive, better by more than the margin"] == [0.5]
    assert shares[f"{SMALL}: pass, worse by more than the margin"] == [0.5]
    assert shares[f"{SMALL}: promotions worse by more than the margin, one look"] == [0.25]
    assert shares[f"{SMALL}: promotions worse by more than the margin, a look every week"] == [0.25]
    assert record.facts[f"{DEFAULT}: promotions, a look every week"] == 0
    assert shares[f"{SMALL}: let on within 26 weeks, worse by more than the margin"] == [0.5]
    assert record.facts[f"{SMALL}: weeks until half are let on, better by more than the margin"] == 3
    assert record.facts[f"{DEFAULT}: weeks until half are let on, better by more than the margin"] == "more than 26"
    assert record.facts[f"{SMALL}: mean loss of a promotion, share of the cost, one look"] == 0.01
    assert record.ratios["wrong promotions / stated harm, one look"]["value"] == pytest.approx(2.5)
    risked = record.ratios["mean loss of a promotion / stated risk, one look"]
    assert risked == {"value": 2.0, "target": 1.0, "better": "lower", "met": False}
    assert record.ratios["better models let on at one look, expected loss / default"]["value"] == 2
