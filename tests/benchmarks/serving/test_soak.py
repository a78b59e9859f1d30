"""What counts as failed in a soak, and what as in flight in a killed worker."""

from __future__ import annotations

import json

from benchmarks.serving.soak import KILL_SECONDS, Lost, Seen


def test_only_what_broke_right_after_a_kill_is_excused() -> None:
    seen = Seen()
    seen.lost = [
        Lost("broke at the kill", 10.1, "broke", broke=True),
        Lost("broke before", 9.9, "broke", broke=True),
        Lost("broke later", 10.1 + KILL_SECONDS, "broke", broke=True),
        Lost("refused at the kill", 10.1, "503", broke=False),
    ]
    excused, failed = seen.divided([10.0, 70.0])
    assert [one.key for one in excused] == ["broke at the kill"]
    assert [one.key for one in failed] == ["broke before", "broke later", "refused at the kill"]
    assert seen.failures(failed) == {"broke": 2, "503": 1}


def test_an_answer_is_kept_by_request_with_its_release_and_score() -> None:
    seen = Seen()
    result = {"key": "a", "score": 0.25, "release": "r", "flags": ["features_last_good"]}
    seen.answer(json.dumps({"request_id": "1", "results": [result]}).encode(), 0.002)
    assert seen.answered == {"1": ("r", 0.25)}
    assert seen.flags == {"features_last_good": 1}
    assert seen.quantile_ms(0.5) == 2.0
