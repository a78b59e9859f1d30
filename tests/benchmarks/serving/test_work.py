from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xgboost

from benchmarks.serving.work import ASKED, FEATURES, make


def test_the_rows_as_they_are_sent_get_the_scores_that_are_right(tmp_path: Path) -> None:
    work = make(tmp_path, rows=500, trees=5)
    sent = np.array(work.rows, dtype=np.float32)
    assert sent.shape == (ASKED, len(FEATURES))
    assert 0 < np.isnan(sent).mean() < 0.1
    assert xgboost.Booster(model_file=work.model).inplace_predict(sent).tolist() == list(work.scores)
    assert max(work.scores) - min(work.scores) > 0.1


def test_equal_arguments_make_equal_work(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("one", "two")]
    found = []
    for folder in folders:
        folder.mkdir()
        found.append(make(folder, rows=300, trees=3))
    assert found[0].rows == found[1].rows
    assert found[0].scores == pytest.approx(found[1].scores, abs=0)
    assert found[0].model.read_bytes() == found[1].model.read_bytes()
