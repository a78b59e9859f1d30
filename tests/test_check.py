"""`everloop check`: silent on what fits, and all findings at once on what does not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import airflow_home  # noqa: F401
from everloop.adapters.lake import DeltaLake
from everloop.check import check, warnings
from everloop.settings import PROJECT
from fakes.departures import filled_into

PARTS = ("dags", "feature_repo", "expectations")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for part in PARTS:
        shutil.copytree(PROJECT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


@pytest.fixture
def edit(checkout: Path) -> Callable[[str, str, str], None]:
    def replace(file: str, old: str, new: str) -> None:
        text = (checkout / file).read_text()
        assert old in text
        (checkout / file).write_text(text.replace(old, new, 1))

    return replace


def test_the_shipped_use_case_fits() -> None:
    assert check("flights") == []


def test_all_findings_are_told_together(checkout: Path, edit: Callable[[str, str, str], None]) -> None:
    edit("dags/flights.py", 'entity=("carrier", "flight", "origin")', 'entity=("carrier", "flight", "year")')
    edit("dags/flights.py", 'column="aircraft__year"', 'column="aircraft__age"')
    edit("feature_repo/flights.py", "SELECT tailnum, year, engines", "SELECT tailnum, yaer, engines")
    edit("expectations/flights/weather.json", "expect_column_values_to_be_in_set", "expect_column_values_to_be_lovely")
    edit("expectations/flights/planes.json", '"column": "engines"', '"column": "engine"')
    (checkout / "expectations" / "flights" / "features.json").unlink()
    found = check("flights", checkout)
    for words in (
        'feature view "aircraft"',
        "does not select year",
        "expect_column_values_to_be_lovely",
        "speaks of engine, which its rows do not have",
        'no suite "features"',
        "BehaviourPolicy.tests names aircraft__age",
    ):
        assert any(words in problem for problem in found), (words, found)
    assert len(found) == 6 + 1  # what a request carries lacks `year` too


def test_a_rule_that_the_scorer_cannot_keep_is_told(checkout: Path) -> None:
    path = checkout / "expectations" / "flights" / "training_set.json"
    suite = json.loads(path.read_text())
    strange = {"type": "expect_column_values_to_match_strftime_format", "kwargs": {"column": "carrier", "strftime_format": "%Y"}}
    suite["expectations"].append({**strange, "meta": {"severity": "warn"}})
    path.write_text(json.dumps(suite))
    (found,) = check("flights", checkout)
    assert "as the scorer reads it" in found
    assert "expect_column_values_to_match_strftime_format" in found


def test_labels_that_are_no_yes_or_no_and_labels_among_the_inputs_are_told(
    checkout: Path, edit: Callable[[str, str, str], None]
) -> None:
    edit("dags/flights.py", "arrival_delay IS NULL OR arrival_delay >= 15 AS label", "coalesce(arrival_delay, 0)::TEXT AS label")
    edit("dags/flights.py", '"arrival_delay": "float",', '"arrival_delay": "float", "label": "string",')
    edit("dags/flights.py", 'categories=("carrier", "origin", "dest")', 'categories=("carrier", "origin", "label")')
    found = check("flights", checkout)
    (kind,) = [problem for problem in found if "labels of type" in problem]
    assert "Examples.sql gives labels of type string: a label is true or false (1 or 0)" in kind
    assert any('"label" is an input' in problem for problem in found)


def test_a_misspelt_key_is_told_with_its_name(checkout: Path, edit: Callable[[str, str, str], None]) -> None:
    edit("dags/flights.py", "feature_suite=", "feature_siute=")
    (found,) = check("flights", checkout)
    assert "feature_siute" in found


def test_an_unknown_use_case_names_the_known_ones(checkout: Path) -> None:
    (found,) = check("fligths", checkout)
    assert "there are ['flights']" in found


def test_a_broken_feature_module_is_told_and_the_rest_is_still_looked_at(checkout: Path) -> None:
    (checkout / "feature_repo" / "flights.py").write_text("from feast import Nothing\n")
    (checkout / "expectations" / "flights" / "planes.json").write_text("{")
    found = check("flights", checkout)
    assert any("feature_repo/flights.py: ImportError" in problem for problem in found)
    assert any("planes.json" in problem for problem in found)


def test_group_columns_without_a_limit_are_warned_of(checkout: Path, edit: Callable[[str, str, str], None]) -> None:
    assert warnings("flights", checkout) == []
    edit(
        "dags/flights.py",
        'FairnessPolicy(columns=("origin",), error_rate_difference=0.30, minimum=40)',
        'FairnessPolicy(columns=("origin",), minimum=40)',
    )
    (warning,) = warnings("flights", checkout)
    assert warning.startswith("FairnessPolicy has columns origin and no limit: groups are reported and nothing is judged")


def test_labels_that_the_lake_holds_are_held_against_what_the_policies_ask(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled_into(DeltaLake(str(tmp_path / "lake" / "departures")), 3)
    for name, value in (("LAKE", tmp_path / "lake"), ("DATABASE", "postgresql://nowhere"), ("MLFLOW", "sqlite://")):
        monkeypatch.setenv(f"EVERLOOP_{name}", str(value))
    (checkout / "dags" / "departures.py").write_text(STRICT)
    cost, auc = warnings("departures", checkout)
    assert "labels a week" in cost
    assert "GatePolicy.cost_margin 2.0% takes about" in cost
    assert "GatePolicy.auc_margin 0.005 takes about" in auc


def test_what_keeps_labels_from_being_counted_is_told(checkout: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    filled_into(DeltaLake(str(tmp_path / "lake" / "departures")), 1)
    for name, value in (("LAKE", tmp_path / "lake"), ("DATABASE", "postgresql://nowhere"), ("MLFLOW", "sqlite://")):
        monkeypatch.setenv(f"EVERLOOP_{name}", str(value))
    lost = STRICT.replace("gate=GatePolicy()", "examples=replace(DEPARTURES.examples, sql='SELECT nothing FROM flights')")
    (checkout / "dags" / "departures.py").write_text(lost)
    (warning,) = warnings("departures", checkout)
    assert warning.startswith("labels could not be counted: ")


STRICT = """# a dag
from dataclasses import replace
from everloop.decide.policy import GatePolicy
from fakes.departures import DEPARTURES

DEPARTURES = replace(DEPARTURES, gate=GatePolicy())
"""
