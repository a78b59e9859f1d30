"""A faster engine is used for a model only after it gave XGBoost's very bits, where they would differ first."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import xgboost

from everloop.errors import ConfigurationError
from everloop.serve.engine import fastest
from everloop.serve.engine.booster import Matrix, Raw, XgboostEngine
from everloop.serve.engine.edges import edge_rows
from everloop.serve.engine.lignum import LignumEngine
from everloop.serve.engine.proof import NotProvedError, compared, prove
from serve.world import COLUMNS, model

WIDTH = len(COLUMNS)


def test_xgboosts_c_interface_says_what_its_python_says() -> None:
    engine = XgboostEngine(model(1))
    rows = edge_rows(engine.booster, WIDTH)
    np.testing.assert_array_equal(engine.predict(rows), engine.booster.inplace_predict(rows))
    assert engine.predict(rows[:1]).shape == (1,)


def test_a_matrix_of_another_width_is_an_error() -> None:
    with pytest.raises(ValueError, match="column"):
        XgboostEngine(model(1)).predict(np.zeros((1, 3), dtype=np.float32))


def test_edge_rows_stand_at_and_beside_every_threshold() -> None:
    booster = XgboostEngine(model(1)).booster
    rows = edge_rows(booster, WIDTH)
    splits = booster.trees_to_dataframe().dropna(subset=["Split"])
    for name, found in splits.groupby("Feature"):
        column = rows[:, [*COLUMNS, "extra0"].index(name)]
        for threshold in found["Split"].astype(np.float32):
            beside = {threshold, np.nextafter(threshold, np.float32(-np.inf)), np.nextafter(threshold, np.float32(np.inf))}
            assert beside <= set(column.tolist()) | {np.float32(value) for value in column}
    assert np.isnan(rows).any(axis=0).all()
    assert set(rows[~np.isnan(rows[:, 0]), 0]) <= {0, 1, 2}, "a category's code is a known one"


def test_pylignum_is_proved_for_a_model_and_then_scores_it() -> None:
    ours = LignumEngine(prove(model(1), WIDTH))
    theirs = XgboostEngine(model(1))
    rows = np.random.default_rng(1).normal(size=(500, WIDTH)).astype(np.float32)
    rows[:, 0] = np.random.default_rng(1).integers(0, 3, 500)
    np.testing.assert_array_equal(ours.predict(rows).astype(np.float32), theirs.predict(rows))
    assert fastest.choose("r", model(1), theirs, WIDTH, "fastest").name == "lignum"
    assert fastest.choose("r", model(1), theirs, WIDTH, "xgboost") is theirs


class Wrong:
    """XGBoost, but for rows whose second column is the largest number below a threshold."""

    name = "wrong"

    def __init__(self, engine: XgboostEngine, at: float) -> None:
        self._engine, self._below = engine, np.nextafter(np.float32(at), np.float32(-np.inf))

    def predict(self, matrix: Matrix) -> Raw:
        moved = matrix.copy()
        moved[moved[:, 1] == self._below, 1] = np.nextafter(self._below, np.float32(np.inf))
        return self._engine.predict(moved)


def test_one_threshold_that_is_off_by_one_bit_is_found() -> None:
    engine = XgboostEngine(model(1))
    splits = engine.booster.trees_to_dataframe()
    at = float(splits[splits["Feature"] == COLUMNS[1]]["Split"].iloc[0])
    rows = edge_rows(engine.booster, WIDTH)
    compared(engine, engine, rows)
    with pytest.raises(NotProvedError, match="wrong differs from xgboost in"):
        compared(Wrong(engine, at), engine, rows)


def test_a_model_that_cannot_be_converted_is_scored_by_xgboost_and_the_log_says_why(caplog: pytest.LogCaptureFixture) -> None:
    data = xgboost.DMatrix(np.random.default_rng(0).normal(size=(100, 2)), np.arange(100) % 2)
    linear = bytes(xgboost.train({"booster": "gblinear", "objective": "binary:logistic"}, data, 3).save_raw("ubj"))
    engine = XgboostEngine(linear)
    with caplog.at_level(logging.WARNING, "everloop.serve.engine"):
        assert fastest.choose("r1", linear, engine, 2, "fastest") is engine
    assert "release r1 is scored by XGBoost" in caplog.text


def test_an_engine_that_there_is_not_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError, match='use "fastest" or "xgboost"'):
        fastest.choose("r", model(1), XgboostEngine(model(1)), WIDTH, "fast")
