from __future__ import annotations

import numpy as np

from everloop.learn.plots import plots


def test_every_picture_is_a_png_and_the_same_bytes_each_time() -> None:
    random = np.random.default_rng(1)
    scores = random.beta(2, 5, 300)
    labels = random.uniform(size=300) < scores
    found = plots(labels, scores, 0.25, {"x": 0.5, "y": 0.1})
    assert set(found) == {"precision_recall.png", "calibration.png", "scores.png", "importance.png"}
    assert all(content.startswith(b"\x89PNG") for content in found.values())
    assert plots(labels, scores, 0.25, {"x": 0.5, "y": 0.1}) == found


def test_rows_without_a_positive_still_make_pictures() -> None:
    assert len(plots(np.zeros(5, dtype=bool), np.full(5, 0.1), 0.25, {"x": 0.0})) == 4
