from __future__ import annotations

from everloop.steps.parity import lines
from steps.parity.conftest import ASKED, INTERVAL, Measured, Served


def test_the_words_name_share_features_and_the_rows_to_look_at(measured: Measured, served: Served) -> None:
    (found,) = measured(served("ann", driver_fares__mean_2d=3.5), served("bob"))
    assert lines(found) == [
        f"{INTERVAL.label}  r1  fail  1 of 2 sampled rows equal (50.00%, of all rows 9.45% to 90.55%)",
        "  driver_fares__mean_2d differs in 1 of 2 rows",
        f"  request ann-{ASKED}, key ann-{ASKED}, as of {ASKED.isoformat()}",
        "    driver_fares__mean_2d: served 3.5, history 10 (fresh when served)",
    ]


def test_what_was_not_compared_is_told(measured: Measured, served: Served) -> None:
    (found,) = measured(served("ann", flags=["features_unavailable"]), served("bob", old__x=1.0))
    told = "\n".join(lines(found))
    assert "inconclusive  1 of 1 sampled rows equal" in told
    assert "1 more served while the online store was away" in told
    assert "served features ['old__x'] are not in history any more" in told


def test_a_sound_interval_takes_one_line(measured: Measured, served: Served) -> None:
    (found,) = measured(served("ann"))
    assert len(lines(found)) == 1
