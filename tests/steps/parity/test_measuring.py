from __future__ import annotations

import json

from everloop.release import RequestFunctionPlan
from fakes.features import MemoryFeatures
from fakes.lake import MemoryLake
from fakes.taxi import TAXI, VIEWS
from fakes.traffic import prediction
from steps.parity.conftest import ASKED, Measured, Served


def test_what_the_online_store_served_equals_history(measured: Measured, served: Served) -> None:
    (found,) = measured(served("ann"), served("bob"), served("new"))
    assert (found.value, found.verdict, found.subject, found.release) == (1.0, "pass", "window", "r1")


def test_a_vector_that_history_does_not_give_fails_and_is_named(measured: Measured, served: Served) -> None:
    (found,) = measured(served("ann", driver_fares__mean_2d=3.0), served("bob"))
    assert (found.value, found.verdict) == (0.5, "fail")
    assert found.detail["differing"] == {"driver_fares__mean_2d": 1}
    assert found.detail["features"]["driver_fares__mean_2d"] == {"rows": 2, "equal": 1}
    assert "driver_fares__mean_2d differs in 1" in found.detail["because"]
    json.dumps(found.detail)


def test_the_rows_that_differ_are_kept_with_all_that_one_needs_to_look_into_them(measured: Measured, served: Served) -> None:
    (found,) = measured(served("ann", driver_fares__mean_2d=3.0, flags=["stale:driver_fares"]), served("bob"))
    difference = {"feature": "driver_fares__mean_2d", "served": 3.0, "replayed": 10.0, "status": "stale"}
    assert found.detail["worst"] == [
        {"request_id": f"ann-{ASKED}", "key": f"ann-{ASKED}", "as_of": ASKED.isoformat(), "differences": [difference]}
    ]


def test_features_that_a_store_lost_without_a_word_count_as_differences(measured: Measured, served: Served) -> None:
    (found,) = measured(served("ann", driver_fares__mean_2d=None, driver_home__district=None))
    assert found.verdict == "fail"


def test_a_store_that_was_away_proves_nothing_and_passes_nobody(measured: Measured, served: Served) -> None:
    away = served("ann", driver_fares__mean_2d=None, driver_home__district=None, flags=["features_unavailable"])
    (alone,) = measured(away)
    assert (alone.value, alone.verdict, alone.detail["unavailable"]) == (None, "inconclusive", 1)
    (beside,) = measured(away, served("bob"))
    assert (beside.value, beside.verdict, beside.detail["rows"]) == (1.0, "inconclusive", 1)


def test_statuses_are_those_of_the_moment_when_it_was_served(measured: Measured, served: Served) -> None:
    (found,) = measured(served("new", flags=["missing:driver_fares", "missing:driver_home"]), served("ann"))
    equal = {status: (tally["rows"], tally["equal"]) for status, tally in found.detail["statuses"].items()}
    assert equal == {"absent": (2, 2), "fresh": (4, 4), "computed": (2, 2)}


def test_moments_equal_the_text_that_the_log_made_of_them(measured: Measured, served: Served) -> None:
    function = RequestFunctionPlan(name="clock", function="clock", inputs={"asked_at": "timestamp"}, features={"at": "timestamp"})
    source = "def clock(inputs):\n    return {'at': inputs['asked_at']}\n"
    features = MemoryFeatures(TAXI, MemoryLake(), VIEWS[:1], functions=(function,), source=source)
    features.apply()
    row, vector = served("ann"), {"driver_fares__mean_2d": None, "clock__at": "2013-01-02T01:00:00Z"}
    logged = row | {"features": json.dumps({"request": json.loads(row["features"])["request"], "vector": vector})}
    (found,) = measured(logged, of=features)
    assert found.value == 1.0
    later = {**vector, "clock__at": "2013-01-02T01:00:01Z"}
    other = row | {"features": json.dumps({"request": json.loads(row["features"])["request"], "vector": later})}
    (found,) = measured(other, of=features)
    assert found.detail["differing"] == {"clock__at": 1}


def test_each_release_is_judged_by_itself(measured: Measured, served: Served) -> None:
    other = served("bob", driver_fares__mean_2d=9.9) | {"release": "r2"}
    assert {m.release: m.verdict for m in measured(served("ann"), other)} == {"r1": "pass", "r2": "fail"}


def test_no_traffic_is_no_measurement(measured: Measured) -> None:
    assert measured() == []


def test_requests_that_failed_have_no_vector_and_are_left_out(measured: Measured, served: Served) -> None:
    broken = prediction("x", as_of=ASKED, error="timeout", features="{}")
    (found,) = measured(served("ann"), broken)
    assert found.detail["rows"] == 1
