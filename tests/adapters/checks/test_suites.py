"""What suites say of rows, by Great Expectations and by the fake, and what becomes of the Data Docs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from everloop.adapters.checks import ExpectationSuites
from everloop.errors import ConfigurationError, DataError
from everloop.ports import Checks
from fakes.checks import MemoryChecks, Rule

BETWEEN = "expect_column_values_to_be_between"
IN_SET = "expect_column_values_to_be_in_set"


def expectation(kind: str, severity: str, **kwargs: Any) -> dict[str, Any]:
    return {"type": kind, "kwargs": kwargs, "meta": {"severity": severity}}


CITY = expectation(IN_SET, "quarantine", column="city", value_set=["EWR", "JFK"])
LEVEL = expectation(BETWEEN, "block", column="level", min_value=0, max_value=10)


def suites(folder: Path, *expectations: dict[str, Any], name: str = "s") -> ExpectationSuites:
    (folder / f"{name}.json").write_text(json.dumps({"name": name, "expectations": expectations}))
    return ExpectationSuites(folder, folder / "docs")


def rows(cities: Sequence[str | None], levels: Sequence[float | None]) -> pa.Table:
    return pa.table({"city": pa.array(cities, pa.string()), "level": pa.array(levels, pa.float64())})


@pytest.fixture(params=["memory", "great_expectations"])
def checks(request: pytest.FixtureRequest, tmp_path: Path) -> Checks:
    if request.param == "great_expectations":
        return suites(tmp_path, CITY, LEVEL)
    city = Rule(IN_SET, "city", "quarantine", {"EWR", "JFK"}.__contains__)
    return MemoryChecks({"s": [city, Rule(BETWEEN, "level", "block", lambda value: 0 <= value <= 10)]})


def test_sound_rows_pass(checks: Checks) -> None:
    found = checks.validate(rows(["EWR", None], [0.0, None]), "s", "run")
    assert found.failures == ()
    assert (found.suite, found.evaluated, found.blocking) == ("s", 2, ())


def test_failures_name_expectation_column_severity_and_rows(checks: Checks) -> None:
    found = checks.validate(rows(["EWR", "Oz", "JFK", "Oz"], [1, 2, 3, 11]), "s", "run")
    city, level = found.failures
    assert (city.expectation, city.column, city.severity, city.rows) == (IN_SET, "city", "quarantine", (1, 3))
    assert (level.expectation, level.column, level.severity, level.rows) == (BETWEEN, "level", "block", (3,))
    assert found.blocking == (level,)
    assert "2 of 4 rows" in city.text


def test_what_cannot_be_evaluated_is_an_error_never_a_pass(checks: Checks) -> None:
    with pytest.raises(ConfigurationError, match="could not be evaluated"):
        checks.validate(rows(["EWR"], [1.0]).drop_columns(["level"]), "s", "run")


def test_an_unknown_suite_is_an_error_that_lists_the_known(checks: Checks) -> None:
    with pytest.raises(ConfigurationError, match=r"There is no suite \"t\".*'s'"):
        checks.suite_text("t")


def test_the_text_of_a_suite_is_its_file(tmp_path: Path) -> None:
    assert json.loads(suites(tmp_path, CITY).suite_text("s"))["expectations"] == [CITY]


def test_quarantine_takes_every_broken_row_even_where_mostly_forgives(tmp_path: Path) -> None:
    forgiving = expectation(BETWEEN, "quarantine", column="level", max_value=10, mostly=0.5)
    warned = expectation(BETWEEN, "warn", column="level", max_value=10, mostly=0.4)
    found = suites(tmp_path, forgiving, warned).validate(rows(["EWR"] * 3, [1, 2, 30]), "s", "run")
    assert [(f.severity, f.rows) for f in found.failures] == [("quarantine", (2,))]


def test_rules_of_two_columns_and_of_the_table(tmp_path: Path) -> None:
    pair = expectation("expect_column_pair_values_a_to_be_greater_than_b", "quarantine", column_A="level", column_B="floor")
    count = expectation("expect_table_row_count_to_be_between", "block", min_value=5)
    given = rows(["EWR"] * 2, [1, 2]).append_column("floor", pa.array([0.0, 9.0]))
    found = suites(tmp_path, pair, count).validate(given, "s", "run")
    assert [(f.column, f.rows) for f in found.failures] == [("level,floor", (1,)), (None, ())]
    assert "2 was observed" in found.failures[1].text


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ([], "an empty suite passes whatever comes"),
        ([expectation(BETWEEN, "ignore", column="level")], 'meta.severity is "ignore"'),
        ([expectation("expect_column_mean_to_be_between", "quarantine", column="level", min_value=1)], "judges the whole table"),
        ([expectation("expect_columns_to_behave", "block")], "does not exist or lacks arguments"),
        ([{**LEVEL, "severity": "critical"}], "is not a suite"),
    ],
)
def test_a_suite_that_breaks_a_rule_is_refused(tmp_path: Path, wrong: list[dict[str, Any]], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        suites(tmp_path, *wrong).validate(rows(["EWR"], [1.0]), "s", "run")


def test_data_docs_show_each_run_once_without_row_positions(tmp_path: Path) -> None:
    given = suites(tmp_path, CITY)
    for _ in range(2):
        given.validate(rows(["Oz"] * 2000, [1.0] * 2000), "s", "manual__2013-01-01T00:00:00+00:00/2013-01-01T0000")
    site = tmp_path / "docs"
    pages = list((site / "validations").rglob("*.html"))
    assert len(pages) == 1
    assert "expect_column_values_to_be_in_set" not in pages[0].name
    assert pages[0].stat().st_size < 60_000
    assert "validations/s/" in (site / "index.html").read_text()


def test_data_docs_stay_bounded(tmp_path: Path) -> None:
    suites(tmp_path, CITY)
    given = ExpectationSuites(tmp_path, tmp_path / "docs", kept=2)
    for run in range(4):
        given.validate(rows(["EWR"], [1.0]), "s", f"run{run}")
    site = tmp_path / "docs"
    assert sorted(page.parent.parent.name for page in (site / "validations").rglob("*.html")) == ["run2", "run3"]
    assert "run0" not in (site / "index.html").read_text()


def test_batches_give_what_the_whole_gives(checks: Checks) -> None:
    whole = rows(["EWR", "Oz", "JFK", "Oz", None], [1, 2, 3, 11, None])
    together = checks.validate(whole, "s", "run")
    apart = checks.validate_batches(iter(whole.to_batches(max_chunksize=2)), "s", "run")
    assert [(f.expectation, f.column, f.severity, f.text) for f in apart.failures] == [
        (f.expectation, f.column, f.severity, f.text) for f in together.failures
    ]
    assert [f.rows for f in apart.failures if f.severity == "quarantine"] == [(1, 3)]
    assert apart.evaluated == together.evaluated


def test_the_compiled_form_has_its_page_too(tmp_path: Path) -> None:
    found = suites(tmp_path, CITY, expectation("expect_column_mean_to_be_between", "warn", column="level", min_value=5))
    found.validate_batches(rows(["Oz"], [1.0]).to_batches(), "s", "run-7")
    (page,) = (tmp_path / "docs" / "validations" / "s" / "run-7").rglob("*.html")
    told = page.read_text()
    assert "1.0" in told
    assert "city" in told
    assert (tmp_path / "docs" / "index.html").exists()


def test_no_batch_at_all_is_no_pass(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no batch"):
        suites(tmp_path, CITY).validate_batches([], "s", "run")
