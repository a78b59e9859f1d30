"""The variables that the parts run with, and the file that hands them to people and to the `everloop` command."""

from __future__ import annotations

import hashlib
import os
import shlex
import sys
from collections.abc import Mapping, MutableMapping
from pathlib import Path

from everloop.settings import PROJECT
from everloop.stack.home import Home, read_secrets, write_private

MANAGED = "EVERLOOP_MANAGED"
"""Lists the variables that the stack made, each with a digest of its value: a sourced file, even a stale one, does not look like
somebody's own choice."""
NOT_INHERITED = ("PYTHONDONTWRITEBYTECODE", "PYTHONHOME", "PYTHONSTARTUP", "AIRFLOW_HOME", "AIRFLOW_CONFIG", "VIRTUAL_ENV")
LOCAL = "127.0.0.1"


def own_choices(home: Home, environ: Mapping[str, str]) -> dict[str, str]:
    """What people set themselves: EVERLOOP_* and AIRFLOW__* variables of `<home>/settings.env` and, stronger, of `environ`."""
    found = read_env(home.own_settings)
    for name, value in environ.items():
        if name.startswith(("EVERLOOP_", "AIRFLOW__")) and name not in (MANAGED, "EVERLOOP_HOME") and not _is_made(name, environ):
            found[name] = value
    return found


def _is_made(name: str, environ: Mapping[str, str]) -> bool:
    """Whether a variable has the value that the stack once gave it."""
    return f"{name}={_digest(environ[name])}" in environ.get(MANAGED, "").split()


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()[:16]


def make_environment(home: Home, ports: Mapping[str, int], choices: Mapping[str, str]) -> dict[str, str]:
    """All variables of the stack: what it makes itself, overridden by `choices`, which may name external services."""
    secrets = read_secrets(home)
    database = f"postgresql://everloop:{secrets['database_password']}@{LOCAL}:{ports['postgres']}"
    airflow = f"http://{LOCAL}:{ports['airflow']}"
    made = {
        "EVERLOOP_DATABASE": f"{database}/everloop",
        "EVERLOOP_CONNECTION_AIRLINE": f"{database}/airline",
        "EVERLOOP_LAKE": str(home.path / "lake"),
        "EVERLOOP_LANDING": str(home.path / "landing"),
        "EVERLOOP_OUTBOX": str(home.path / "outbox"),
        "EVERLOOP_RELEASES": str(home.path / "releases"),
        "EVERLOOP_DATA_DOCS": str(home.path / "data_docs"),
        "EVERLOOP_FEATURE_REPO": str(PROJECT / "feature_repo"),
        "EVERLOOP_EXPECTATIONS": str(PROJECT / "expectations"),
        "EVERLOOP_MLFLOW": f"http://{LOCAL}:{ports['mlflow']}",
        "EVERLOOP_MLFLOW_DATABASE": f"{database}/mlflow",
        "EVERLOOP_MLFLOW_ARTIFACTS": str(home.path / "mlflow"),
        "EVERLOOP_SCORER": f"http://{LOCAL}:{ports['scorer']}",
        "EVERLOOP_API_KEY": secrets["api_key"],
        "EVERLOOP_AIRFLOW": airflow,
        "EVERLOOP_AIRFLOW_USER": "admin",
        "EVERLOOP_AIRFLOW_PASSWORD": secrets["airflow_password"],
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": sqlalchemy_uri(f"{database}/airflow"),
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets["jwt_secret"],
        "AIRFLOW__API__SECRET_KEY": secrets["session_secret"],
        "AIRFLOW__CORE__FERNET_KEY": secrets["fernet_key"],
        **airflow_settings(home, airflow),
    }
    everything = {**made, **choices, "EVERLOOP_HOME": str(home.path)}
    fixed = {
        "EVERLOOP_ONLINE": everything.get("EVERLOOP_ONLINE") or everything["EVERLOOP_DATABASE"],
        "AIRFLOW_HOME": str(home.path / "airflow"),
        "MLFLOW_TRACKING_URI": everything["EVERLOOP_MLFLOW"],
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "GX_ANALYTICS_ENABLED": "False",
        "FEAST_USAGE": "False",
        "DO_NOT_TRACK": "1",
        "OMP_WAIT_POLICY": "passive",  # spinning OpenMP threads made XGBoost 5 to 12 times slower on a shared machine
        "PYTHONPATH": str(PROJECT / "plugins"),
    }
    managed = [f"{name}={_digest(value)}" for name, value in sorted({**made, **fixed}.items()) if name not in choices]
    return {**everything, **fixed, MANAGED: " ".join(managed)}


def airflow_settings(home: Home, url: str) -> dict[str, str]:
    """Airflow's settings: embedded, private to this machine, quick to start tasks."""
    return {
        "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "6",
        "AIRFLOW__CORE__AUTH_MANAGER": "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home.path / "airflow" / "passwords.json"),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home.path / "airflow" / "logs"),
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        # 10 linear no-op tasks: 5.9 s with the next two lines, 11.5 s without
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.1",
        "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
        # tasks outlive a killed and restarted API server
        "AIRFLOW__WORKERS__MAX_FAILED_HEARTBEATS": "20",
        "AIRFLOW__WORKERS__EXECUTION_API_RETRIES": "8",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "10",
    }


def process_environment(variables: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, str]:
    """What a part's process gets: `environ` without what disturbs, the stack's `variables`, this Python's commands first."""
    inherited = {k: v for k, v in environ.items() if k not in NOT_INHERITED and not k.startswith("PIP_")}
    passed = [environ.get("NO_PROXY") or environ.get("no_proxy") or "", LOCAL, "localhost"]
    no_proxy = ",".join(filter(None, passed))
    path = os.pathsep.join([str(Path(sys.executable).parent), environ.get("PATH", os.defpath)])
    return {**inherited, **variables, "PATH": path, "NO_PROXY": no_proxy, "no_proxy": no_proxy}


def sqlalchemy_uri(uri: str) -> str:
    """A libpq URI as SQLAlchemy wants it: with the driver spelled out, since 2.1 means another one by default."""
    return uri.replace("postgresql://", "postgresql+psycopg2://", 1)


def write_env(home: Home, variables: Mapping[str, str]) -> None:
    """Write `<home>/everloop.env`, for the owner alone."""
    lines = ["# Written by `everloop up`; put your own choices into settings.env beside it."]
    lines += [f"export {name}={shlex.quote(value)}" for name, value in sorted(variables.items())]
    write_private(home.env_file, "\n".join(lines) + "\n")


def read_env(path: Path) -> dict[str, str]:
    """The variables of a file of `export NAME=value` lines; empty when there is none."""
    if not path.exists():
        return {}
    words = shlex.split(path.read_text(), comments=True)
    return dict(word.split("=", 1) for word in words if "=" in word)


def adopt(home: Home, environ: MutableMapping[str, str]) -> None:
    """Set the variables of the running (or last) stack in `environ`, except for those that people set themselves."""
    found = {k: v for k, v in read_env(home.env_file).items() if k not in environ or _is_made(k, environ) or k == MANAGED}
    environ.update(found)
