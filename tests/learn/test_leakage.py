from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from everloop.learn import leakage
from everloop.learn.leakage import inputs_alone, perfect

N = 4_000


def told(columns: dict[str, object], labels: np.ndarray, categories: tuple[str, ...] = (), held: float = 0.5):
    learnt = np.arange(len(labels)) < len(labels) * (1 - held)
    return inputs_alone(pa.table(columns), labels, learnt, ~learnt, list(columns), categories)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def test_what_says_nothing_has_an_auc_of_a_half_and_what_says_all_of_one(rng) -> None:
    delay = rng.normal(0, 1, N)
    labels = delay > 0.7
    noise = rng.normal(0, 1, N)
    found = told({"noise": noise, "delay": delay, "backwards": -delay}, labels)
    assert list(found)[-1] == "noise"
    assert found["noise"].value == pytest.approx(0.5, abs=0.05)
    assert found["noise"].rows == N / 2
    assert [name for name, one in found.items() if one.value == 1.0] == ["delay", "backwards"]


def test_a_label_that_is_in_the_middle_of_a_number_is_found(rng) -> None:
    delay = rng.normal(0, 1, N)
    found = told({"delay": delay}, np.abs(delay) < 0.5)
    assert found["delay"].value > 0.99


def test_a_value_that_is_missing_only_where_the_label_is_positive_tells_it(rng) -> None:
    labels = rng.random(N) < 0.3
    arrived = np.where(labels, None, rng.normal(0, 1, N).astype(object))
    found = told({"arrived": pa.array(arrived, pa.float64())}, labels)
    assert found["arrived"].value == 1.0


def test_a_category_is_judged_on_rows_that_it_was_not_learnt_from(rng) -> None:
    labels = rng.random(N) < 0.3
    ids = [f"id-{i}" for i in range(N)]
    status = np.where(labels, "late", np.where(rng.random(N) < 0.5, "on time", "early"))
    found = told({"id": ids, "status": status}, labels, ("id", "status"))
    assert found["status"].value == 1.0
    assert found["id"].value == 0.5


def test_a_missing_category_is_a_category(rng) -> None:
    labels = rng.random(N) < 0.3
    found = told({"reason": pa.array(np.where(labels, "weather", None).tolist(), pa.string())}, labels, ("reason",))
    assert found["reason"].value == 1.0


def test_boolean_and_constant_columns_can_be_judged(rng) -> None:
    labels = rng.random(N) < 0.3
    nothing = pa.nulls(N, pa.float64())
    found = told({"paid": labels, "one": np.ones(N), "nothing": nothing}, labels)
    assert (found["paid"].value, found["one"].value, found["nothing"].value) == (1.0, 0.5, 0.5)


def test_without_both_labels_held_out_nothing_is_said(rng) -> None:
    assert told({"x": rng.normal(0, 1, 100)}, np.arange(100) < 50) == {}


def test_many_rows_are_judged_by_some_of_them(rng, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leakage, "ROWS", 1_000)
    labels = rng.random(N) < 0.3
    assert told({"x": labels.astype(float)}, labels)["x"].rows == 1_000


def test_perfect_is_what_chance_would_hardly_separate(rng) -> None:
    labels = rng.random(N) < 0.3
    found = told({"x": labels.astype(float), "y": labels + rng.normal(0, 0.3, N)}, labels)
    assert perfect(found, 0.3) == ["x"]
    few = np.arange(40) % 10 == 0
    found = told({"x": few.astype(float)}, few)
    assert found["x"].value == 1.0
    assert perfect(found, 0.1) == []
