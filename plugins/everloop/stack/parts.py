"""The parts of the stack: what each runs, after which others, and when it counts as ready."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from everloop.stack import probes
from everloop.stack.environment import LOCAL, process_environment, sqlalchemy_uri
from everloop.stack.home import Home, postgres_folder, read_secrets
from everloop.stack.postgres import PostgresServer
from everloop.stack.schemas import migrate_airflow, migrate_everloop, migrate_mlflow

PRELOADED = str(Path(__file__).parent / "preload")
"""The folder of the `airflow_local_settings` that imports the libraries of tasks before the scheduler forks."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """Something to do once, after the parts named in `after`."""

    name: str
    run: Callable[[], None]
    after: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Service:
    """A process to keep alive. `is_ready` is asked with the moment of its start; `prepare` runs before each start.

    `patience`: seconds to become ready before it counts as failed. `stop_seconds`: how long it may take to stop
    before it is killed. `popen`: further arguments of `subprocess.Popen`.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)
    is_ready: Callable[[datetime], bool]
    after: tuple[str, ...] = ()
    address: str | None = None
    prepare: Callable[[], None] | None = None
    popen: Mapping[str, Any] = field(default_factory=dict)
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 20.0
    patience: float = 180.0


Part = Job | Service


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is needed to lay out the parts: the folder, the stack's variables, those that people chose, our own environment."""

    home: Home
    variables: Mapping[str, str] = field(repr=False)
    choices: Mapping[str, str] = field(repr=False)
    environ: Mapping[str, str] = field(repr=False)
    ports: Mapping[str, int]

    def is_ours(self, *names: str) -> bool:
        """Whether nobody pointed these variables elsewhere."""
        return not any(name in self.choices for name in names)

    def environment(self, **more: str) -> dict[str, str]:
        """The environment of a part."""
        return {**process_environment(self.variables, self.environ), **more}


def lay_out(plan: Plan) -> list[Part]:
    """The parts to run here, in an order in which each stands after what it needs."""
    databases = _databases(plan)
    parts: list[Part] = []
    if databases:
        parts.append(_postgres(plan))
    postgres = tuple(part.name for part in parts)
    parts.append(Job(name="schema", run=lambda: migrate_everloop(plan.variables, databases), after=postgres))
    if plan.is_ours("EVERLOOP_MLFLOW"):
        parts += _mlflow(plan)
    if plan.is_ours("EVERLOOP_AIRFLOW"):
        parts += _airflow(plan)
    if plan.is_ours("EVERLOOP_SCORER"):
        parts.append(_scorer(plan))
    return parts


def _databases(plan: Plan) -> dict[str, str]:
    """The embedded server's databases that are in use: name to libpq URI."""
    wanted = {
        "everloop": plan.is_ours("EVERLOOP_DATABASE"),
        "airline": plan.is_ours("EVERLOOP_CONNECTION_AIRLINE"),
        "airflow": plan.is_ours("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "EVERLOOP_AIRFLOW"),
        "mlflow": plan.is_ours("EVERLOOP_MLFLOW_DATABASE", "EVERLOOP_MLFLOW"),
    }
    server = _server(plan)
    return {name: server.uri(name) for name, needed in wanted.items() if needed}


def _server(plan: Plan) -> PostgresServer:
    password = read_secrets(plan.home)["database_password"]
    return PostgresServer(folder=postgres_folder(plan.home), port=plan.ports["postgres"], password=password)


def _postgres(plan: Plan) -> Service:
    server = _server(plan)
    return Service(
        name="postgres",
        command=tuple(server.command()),
        environment=plan.environment(),
        is_ready=lambda _: server.answers(),
        address=f"{LOCAL}:{server.port}",
        prepare=server.prepare,
        popen=server.popen_arguments(),
        stop_signal=signal.SIGINT,  # "fast" shutdown: do not wait for clients
    )


def _mlflow(plan: Plan) -> list[Part]:
    url = plan.variables["EVERLOOP_MLFLOW"]
    environment = plan.environment(  # not the command line, which `ps` shows to everybody
        MLFLOW_BACKEND_STORE_URI=sqlalchemy_uri(plan.variables["EVERLOOP_MLFLOW_DATABASE"]),
        MLFLOW_ARTIFACTS_DESTINATION=plan.variables["EVERLOOP_MLFLOW_ARTIFACTS"],
        MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false",  # 2 processes and 0.5 GB instead of 10 and 2 GB
    )
    del environment["MLFLOW_TRACKING_URI"]
    place = ("--host", LOCAL, "--port", str(urlsplit(url).port), "--workers", "1")
    server = Service(
        name="mlflow",
        command=(sys.executable, "-m", "mlflow", "server", *place),
        environment=environment,
        is_ready=lambda _: probes.answers(f"{url}/health"),
        after=("mlflow-schema",),
        address=url,
    )
    return [Job(name="mlflow-schema", run=lambda: migrate_mlflow(plan.home, environment), after=("schema",)), server]


def _airflow(plan: Plan) -> list[Part]:
    url = plan.variables["EVERLOOP_AIRFLOW"]
    environment = plan.environment()
    preloading = plan.environment(EVERLOOP_PRELOAD=plan.choices.get("EVERLOOP_PRELOAD", "1"))
    preloading["PYTHONPATH"] += f":{PRELOADED}"

    def component(name: str, variables: Mapping[str, str], *words: str, stop_seconds: float = 20.0) -> Service:
        return Service(
            name=name,
            command=(sys.executable, "-m", "airflow", name, *words),
            environment=variables,
            is_ready=lambda started: probes.airflow_component_beats(url, name.replace("-", "_"), started),
            after=("api-server",),
            stop_seconds=stop_seconds,
        )

    server = Service(
        name="api-server",
        command=(sys.executable, "-m", "airflow", "api-server", "--host", LOCAL, "--port", str(urlsplit(url).port)),
        environment=environment,
        is_ready=lambda _: probes.airflow_answers(url),
        after=("airflow-schema",),
        address=url,
    )
    return [
        Job(name="airflow-schema", run=lambda: migrate_airflow(plan.home, environment), after=("schema",)),
        server,
        component("scheduler", preloading, "--skip-serve-logs"),
        component("dag-processor", environment),
        # its triggers are in the database and start again anywhere; left alone it takes 11 s
        component("triggerer", environment, "--skip-serve-logs", stop_seconds=3.0),
    ]


def _scorer(plan: Plan) -> Service:
    url = plan.variables["EVERLOOP_SCORER"]
    return Service(
        name="scorer",
        command=(sys.executable, "-m", "everloop.serve", "--port", str(urlsplit(url).port)),
        # On the loopback all parts speak plain HTTP to each other; TLS is for scorers that stand alone.
        environment=plan.environment(EVERLOOP_TLS_CERTIFICATE="", EVERLOOP_TLS_KEY=""),
        is_ready=lambda _: probes.answers(f"{url}/readyz"),
        after=("schema",),
        address=url,
    )


def below(parts: Sequence[Part]) -> dict[str, set[str]]:
    """All that each part stands on, directly or not. `parts` are in an order in which each comes after what it needs."""
    found: dict[str, set[str]] = {}
    for part in parts:
        found[part.name] = set(part.after).union(*(found[name] for name in part.after))
    return found


def depths(parts: Sequence[Part]) -> dict[str, int]:
    """How many levels each part stands above the ground; what has the same depth may stop together."""
    found: dict[str, int] = {}
    for part in parts:
        found[part.name] = 1 + max((found[name] for name in part.after), default=-1)
    return found
