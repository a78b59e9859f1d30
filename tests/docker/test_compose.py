"""The compose file, the Dockerfile, the environment's example and the scorer's lock fit together."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from everloop.settings import PROJECT

DOCKER = PROJECT / "docker"
COMPOSE = DOCKER / "compose.yaml"
GIVEN = re.compile(r"\$\{(\w+)(:?[-?])?")
PINNED = re.compile(r"^(\S+==[^\s;\\]+)", re.MULTILINE)


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.safe_load(COMPOSE.read_text())


def ours(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {name: service for name, service in compose["services"].items() if service["image"].startswith("everloop-")}


def test_every_image_of_ours_has_its_target_and_is_built_once(compose: dict[str, Any]) -> None:
    stages = set(re.findall(r"^FROM \S+ AS (\S+)$", (DOCKER / "Dockerfile").read_text(), re.MULTILINE))
    built = [service["build"]["target"] for service in ours(compose).values() if "build" in service]
    named = {service["image"].removeprefix("everloop-").partition(":")[0] for service in ours(compose).values()}
    assert sorted(built) == sorted(named)
    assert named <= stages


def test_the_example_names_every_variable_that_must_be_set() -> None:
    asked = dict(GIVEN.findall(COMPOSE.read_text()))
    example = dict(line.split("=", 1) for line in (DOCKER / "env.example").read_text().splitlines() if re.match(r"\w+=", line))
    required = {name for name, default in asked.items() if default == ":?"}
    assert all(asked.values()), "a variable has neither a default (`:-`) nor a demand (`:?`)"
    assert required == {name for name, value in example.items() if not value} - {"GIT_COMMIT"}
    assert set(example) <= set(asked)


def test_secrets_come_from_the_environment_alone(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        for name, value in (service.get("environment") or {}).items():
            if re.search("PASSWORD|SECRET|KEY|DATABASE|CONN$", name):
                assert "${" in value, f"{name} has a value of its own"
    assert not re.search("PASSWORD|SECRET|_KEY", (DOCKER / "Dockerfile").read_text())


def test_every_service_of_ours_is_watched_and_unprivileged(compose: dict[str, Any]) -> None:
    watched_by_image = {"mlflow", "scorer"}
    for name, service in ours(compose).items():
        assert service["cap_drop"] == ["ALL"], name
        assert name == "set-up" or name in watched_by_image or "healthcheck" in service, name


def test_every_folder_and_volume_exists(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            assert (DOCKER / source).exists() if source.startswith(".") else source in compose["volumes"], (name, volume)


def test_the_database_of_each_part_has_a_role_of_its_own() -> None:
    script = (DOCKER / "postgres" / "databases.sql").read_text()
    owners = dict(re.findall(r"CREATE DATABASE (\w+) OWNER (\w+) ", script))
    used = set(re.findall(r"://(\w+):\$\{\w+:\?\}@postgres:5432/(\w+)", COMPOSE.read_text()))
    assert used == {(owner, database) for database, owner in owners.items()}
    assert f"ON DATABASE {', '.join(owners)} FROM PUBLIC" in script


@pytest.mark.parametrize("name", ["scorer", "tracing"])
def test_the_scorer_runs_what_the_project_locks(name: str) -> None:
    locked, scorer = (set(PINNED.findall(path.read_text())) for path in (PROJECT / "requirements.txt", DOCKER / f"{name}.txt"))
    assert scorer
    assert scorer <= locked, f"compile docker/{name}.txt again: docker/{name}.in says how"


def test_what_is_observed_asks_for_no_secret_and_is_pinned(compose: dict[str, Any]) -> None:
    observing = {name: service for name, service in compose["services"].items() if service.get("profiles") == ["observe"]}
    assert set(observing) == {"prometheus", "grafana"}
    for service in observing.values():
        assert re.search(r":-\S+:v?\d+\.\d+\.\d+}$", service["image"])
        assert service["cap_drop"] == ["ALL"]
        assert all(port.startswith("${BIND_ADDRESS:-127.0.0.1}:") for port in service["ports"])


SERVE_WITH_THE_LOCK_ALONE = """
import pkgutil, sys
from importlib import import_module, metadata

locked, owners = set(sys.argv[1:]), metadata.packages_distributions()

class Refuse:
    def find_spec(self, name, path=None, target=None):
        owned = {owner.lower().replace("_", "-") for owner in owners.get(name, ())}
        if owned and not owned & locked:
            raise ModuleNotFoundError(f"{name} is not in the scorer's image", name=name)

sys.meta_path.insert(0, Refuse())
import everloop.serve
for module in pkgutil.iter_modules(everloop.serve.__path__):
    import_module(f"everloop.serve.{module.name}")
import boto3, duckdb, httptools, pyarrow.compute, uvloop  # imported where they are used
"""


def test_the_scorer_has_everything_that_the_service_imports() -> None:
    locked = [pin.partition("==")[0].partition("[")[0] for pin in PINNED.findall((DOCKER / "scorer.txt").read_text())]
    done = subprocess.run(
        [sys.executable, "-c", SERVE_WITH_THE_LOCK_ALONE, *locked],
        capture_output=True,
        text=True,
        check=False,
        cwd=PROJECT / "plugins",
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_the_celery_executor_imports(tmp_path: Path) -> None:
    """The lock can hold a Celery that the provider does not import with, and nothing else here would notice."""
    program = "import airflow.providers.celery.executors.celery_executor"
    environment = {"AIRFLOW_HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
