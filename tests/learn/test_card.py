from __future__ import annotations

from datetime import UTC, datetime

from everloop.decide.policy import ServicePolicy
from everloop.learn.card import card
from everloop.release import Bundle, Calibrator, FeaturePlan, Manifest


def bundle(drill: str = "false") -> Bundle:
    manifest = Manifest(
        use_case="toys",
        columns=("x",),
        categories={},
        calibrator=Calibrator(x=(0.0, 1.0), y=(0.0, 1.0)),
        threshold=0.25,
        plan=FeaturePlan(service="toys", request={}, views=()),
        entity=("x",),
        service=ServicePolicy(),
        request_suite="training_set",
        shadow_share=0.2,
        snapshot={"toys": 3},
        trained_from=datetime(2013, 1, 1, tzinfo=UTC),
        trained_through=datetime(2013, 3, 1, tzinfo=UTC),
        parameters={"max_depth": 6},
        metrics={"auc": 0.71234, "rows": 1200.0},
        lineage={"git_commit": "abc", "drill": drill},
        files={},
    )
    return Bundle(manifest, {})


SLICES = {"maker": {"a|b": {"rows": 10.0, "auc": 0.7}, "c": {"rows": 20.0}}}


def test_the_card_tells_what_a_reviewer_asks_for() -> None:
    text = card(bundle(), "Will a toy break?\n", {"x": 0.5}, SLICES)
    assert text.startswith(f"# toys, release {bundle().id}\n\nWill a toy break?\n\n## Training")
    for line in ("| auc | 0.7123 |", "| rows | 1200 |", "| table `toys` | version 3 |", "| x | 0.5 |", "| git_commit | abc |"):
        assert line in text
    assert "fire drill" not in text


def test_slices_are_listed_by_size_with_gaps_where_a_measure_is_undefined() -> None:
    text = card(bundle(), "-", {}, SLICES)
    assert "| c | 20 |  |  |  |  |\n| a\\|b | 10 |  | 0.7 |  |  |" in text


def test_a_drill_says_so_first() -> None:
    assert "**This is a fire drill" in card(bundle(drill="true"), "-", {}, {})


def test_the_card_says_what_disturbed_inputs_do() -> None:
    quiet = {"changed": {"trials": 1_000.0, "hits": 20.0}, "cost": {"value": 0.004}, "undisturbed": 0.5}
    behaviour = {
        "tests": {"direction.x": {"broken": {"trials": 900.0, "hits": 3.0}, "worst": 0.07}},
        "noise": quiet,
        "absent": {"weather": quiet | {"cost": None}, "plane": quiet | {"changed": {"trials": 1_000.0, "hits": 100.0}}},
    }
    text = card(bundle(), "Toys.", {}, {}, behaviour)
    assert "| noise | 0.02 | 0.004 | 0.5 |" in text
    assert "| without plane | 0.1 | 0.004 | 0.5 |" in text
    assert "| direction.x | 900 | 3 (0.070) |" in text
    assert "without weather" not in text
