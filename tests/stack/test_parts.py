"""Which parts run here, in which order."""

from __future__ import annotations

from pathlib import Path

import pytest

from everloop.stack.environment import make_environment
from everloop.stack.home import make_home
from everloop.stack.parts import Part, Plan, Service, below, depths, lay_out

PORTS = {"postgres": 5442, "airflow": 8080, "mlflow": 5000, "scorer": 8000}
AIRFLOW = {"airflow-schema", "api-server", "scheduler", "dag-processor", "triggerer"}
MLFLOW = {"mlflow-schema", "mlflow"}
ELSEWHERE = "postgresql://u:p@db.example/"


def laid_out(folder: Path, **choices: str) -> list[Part]:
    home = make_home(folder)
    variables = make_environment(home, PORTS, choices)
    return lay_out(Plan(home=home, variables=variables, choices=choices, environ={}, ports=PORTS))


def names(parts: list[Part]) -> set[str]:
    return {part.name for part in parts}


def test_everything_runs_here_by_default(tmp_path: Path) -> None:
    assert names(laid_out(tmp_path)) == {"postgres", "schema", "scorer"} | AIRFLOW | MLFLOW


@pytest.mark.parametrize(
    ("choices", "absent"),
    [
        ({"EVERLOOP_MLFLOW": "https://mlflow.example"}, MLFLOW),
        ({"EVERLOOP_AIRFLOW": "https://airflow.example"}, AIRFLOW),
        ({"EVERLOOP_SCORER": "https://score.example"}, {"scorer"}),
        ({"EVERLOOP_DATABASE": ELSEWHERE + "everloop"}, set()),
        (
            {
                "EVERLOOP_DATABASE": ELSEWHERE + "everloop",
                "EVERLOOP_CONNECTION_AIRLINE": ELSEWHERE + "airline",
                "EVERLOOP_MLFLOW_DATABASE": ELSEWHERE + "mlflow",
                "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": ELSEWHERE + "airflow",
            },
            {"postgres"},
        ),
    ],
)
def test_what_is_pointed_elsewhere_is_not_started(tmp_path: Path, choices: dict[str, str], absent: set[str]) -> None:
    assert names(laid_out(tmp_path)) - names(laid_out(tmp_path, **choices)) == absent


def test_scheduler_waits_for_the_api_server_and_all_that_it_needs(tmp_path: Path) -> None:
    assert below(laid_out(tmp_path))["scheduler"] == {"api-server", "airflow-schema", "schema", "postgres"}


def test_postgres_stands_below_everything(tmp_path: Path) -> None:
    found = depths(laid_out(tmp_path))
    assert [name for name, depth in found.items() if depth == 0] == ["postgres"]


def test_no_command_line_and_no_printed_part_shows_a_secret(tmp_path: Path) -> None:
    from everloop.stack.home import read_secrets

    parts = laid_out(tmp_path)
    shown = " ".join(" ".join(part.command) + repr(part) for part in parts if isinstance(part, Service))
    assert not [secret for secret in read_secrets(make_home(tmp_path)).values() if secret in shown]
