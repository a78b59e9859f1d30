from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from benchmarks import mutants

RETRAIN = mutants.DECIDE / "watch" / "retrain.py"


def test_files_are_named_by_path_folder_or_not_at_all() -> None:
    assert list(mutants.files(["watch/retrain.py"])) == list(mutants.files(["watch/retrain"])) == [RETRAIN]
    assert RETRAIN in list(mutants.files(["watch"]))
    assert not any("training" in str(file) for file in mutants.files(["watch"]))
    assert mutants.DECIDE / "verdict.py" in list(mutants.files([]))
    with pytest.raises(SystemExit, match="retrian is no file"):
        list(mutants.files(["retrian"]))


def test_a_files_mutants_must_be_killed_by_its_own_tests(tmp_path: Path) -> None:
    tests = mutants.lay_out(tmp_path, RETRAIN)
    assert tests == ["tests/decide/watch/test_retrain.py"]
    settings = tomllib.loads((tmp_path / "pyproject.toml").read_text())["tool"]["mutmut"]
    assert settings["only_mutate"] == ["src/everloop/decide/watch/retrain.py"]
    assert settings["pytest_add_cli_args_test_selection"] == tests
    assert (tmp_path / "src" / "everloop" / "decide" / "watch" / "retrain.py").read_bytes() == RETRAIN.read_bytes()
    assert (tmp_path / tests[0]).exists()


def test_every_explained_survivor_is_of_a_file_that_is_there() -> None:
    rows = tomllib.loads(mutants.EXPLAINED.read_text()).get("mutant", [])
    assert [row["file"] for row in rows if not (mutants.DECIDE / row["file"]).exists()] == []
    assert all(row["why"] for row in rows)


def test_a_survivor_is_explained_by_its_file_function_and_changed_line() -> None:
    row = tomllib.loads(mutants.EXPLAINED.read_text())["mutant"][0]
    survivor = {"function": row["function"], "was": "-", "now": row["now"]}
    other = survivor | {"now": "another change", "explained": "by a row that is gone"}
    found = mutants.explained({row["file"]: {"survivors": [survivor, other]}})[row["file"]]
    assert found["explained"] == 1
    assert found["survivors"] == [survivor | {"explained": row["why"]}, {**survivor, "now": "another change"}]
