from dataclasses import replace

import pytest

from everloop.release import FeaturePlan, ViewPlan

WEATHER = ViewPlan(
    name="weather", table="online.weather", join_keys={"origin": "string", "hour": "int"}, features={"temp": "float"},
    ttl_seconds=60.0,
)  # fmt: skip


def reads(*views: ViewPlan) -> dict[str, object]:
    return FeaturePlan(service="flights", request={}, views=views).reads


def test_a_plan_tells_by_view_what_decides_whether_a_row_is_found() -> None:
    aircraft = replace(WEATHER, name="aircraft", table="online.aircraft", join_keys={"tailnum": "string"}, ttl_seconds=None)
    assert reads(WEATHER, aircraft) == {
        "weather": ("online.weather", ("hour", "int"), ("origin", "string"), 60.0),
        "aircraft": ("online.aircraft", ("tailnum", "string"), None),
    }
    assert reads() == {}


def test_views_that_find_the_same_rows_are_the_same_whatever_they_take_of_them() -> None:
    other = replace(WEATHER, join_keys={"hour": "int", "origin": "string"}, features={"wind": "float"})
    assert reads(other) == reads(WEATHER)


@pytest.mark.parametrize("change", [{"table": "online.w2"}, {"join_keys": {"origin": "string"}}, {"ttl_seconds": 61.0}])
def test_a_view_that_may_find_other_rows_is_another_one(change: dict[str, object]) -> None:
    assert reads(replace(WEATHER, **change)) != reads(WEATHER)
