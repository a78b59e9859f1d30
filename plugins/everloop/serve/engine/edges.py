"""Rows on which two predictors of one model would differ if they ever do: at the model's own thresholds, and beside them."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import msgspec
import numpy as np
import xgboost

from everloop.serve.engine.booster import Matrix

ROWS = 4_096

_ODD = (np.nan, 0.0, -0.0, np.inf, -np.inf, 1e30, -1e30, 1e-40)
"""Missing, both zeros, the infinities, huge, and too small for a normal float32."""


def edge_rows(booster: xgboost.Booster, columns: int, rows: int = ROWS) -> Matrix:
    """(rows, columns): each cell a threshold of its column, the float32 beside it, a known category, or an odd one.

    Drawn with a fixed seed: the same model is always asked the same.
    """
    numbers, categories = _splits(booster)
    noise = np.random.default_rng(0)
    matrix = np.empty((rows, columns), dtype=np.float32)
    for column in range(columns):
        known = categories.get(column)
        choices = _beside(numbers[column]) if known is None else np.array([np.nan, *range(max(known) + 1)], dtype=np.float32)
        matrix[:, column] = noise.choice(choices, rows)
    return matrix


def _beside(thresholds: set[float]) -> Matrix:
    at = np.array(sorted(thresholds), dtype=np.float32)
    below, above = (np.nextafter(at, np.float32(end)) for end in (-np.inf, np.inf))
    return np.concatenate([at, below, above, np.array(_ODD, dtype=np.float32)])


def _splits(booster: xgboost.Booster) -> tuple[dict[int, set[float]], dict[int, set[int]]]:
    """By column its thresholds, and for a categorical one the categories that its splits name."""
    numbers: dict[int, set[float]] = defaultdict(set)
    categories: dict[int, set[int]] = defaultdict(set)
    model = msgspec.json.decode(bytes(booster.save_raw("json")))
    for tree in model["learner"]["gradient_booster"]["model"]["trees"]:
        _numbers(tree, numbers)
        _categories(tree, categories)
    return numbers, categories


def _numbers(tree: dict[str, Any], found: dict[int, set[float]]) -> None:
    nodes = zip(tree["left_children"], tree["split_indices"], tree["split_conditions"], tree["split_type"], strict=True)
    for left, column, threshold, kind in nodes:
        if left != -1 and kind == 0:
            found[column].add(threshold)


def _categories(tree: dict[str, Any], found: dict[int, set[int]]) -> None:
    parts = zip(tree["categories_nodes"], tree["categories_segments"], tree["categories_sizes"], strict=True)
    for node, begin, size in parts:
        found[tree["split_indices"][node]].update(tree["categories"][begin : begin + size])
