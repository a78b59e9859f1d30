"""`everloop demo`: a fresh stack, the story, the account."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from everloop.catalog import use_case
from everloop.demo.airflow_client import AirflowClient
from everloop.demo.narrator import Narrator
from everloop.demo.report import account
from everloop.demo.story import Pace, Story
from everloop.demo.table import print_account
from everloop.demo.verdict import shortfalls
from everloop.errors import StackError
from everloop.settings import PROJECT
from everloop.stack import commands
from everloop.stack.environment import adopt
from everloop.stack.home import Home
from everloop.wiring import connect

REPORT = PROJECT / "demo-report.json"
MARKER = "demo"


def run(pace: Pace) -> None:
    """Play the whole demo; `StackError` when the story did not end as it should."""
    tell = Narrator()
    home = _fresh_home(commands.home_of(os.environ), tell)
    tell.chapter("PostgreSQL, MLflow, Airflow and the scoring service start")
    commands.up(home.path, tell.say)
    adopt(home, os.environ)
    story = Story(connect(use_case("flights")), _airflow(tell), tell, pace)
    story.play()
    report = _write_report(story, tell)
    print_account(tell.console, report)
    story.farewell()
    _print_addresses(home, tell)
    if short := shortfalls(report):
        raise StackError("The demo ran, but not as it should:\n" + "\n".join(f"  - {what}" for what in short))


def _fresh_home(home: Home, tell: Narrator) -> Home:
    """An empty state folder; what an earlier demo left is removed, anything else is left alone with a `StackError`."""
    marker = home.path / MARKER
    if marker.exists():
        tell.say(f"An earlier demo lies in {home.path}: stopping it and starting over")
        commands.down(home.path, tell.say)
        shutil.rmtree(home.path)
    elif home.path.exists() and any(home.path.iterdir()):
        raise StackError(
            f"{home.path} holds a stack that is not a demo's: the demo starts from nothing and will not delete it. "
            "Set EVERLOOP_HOME to another folder, or move that one away"
        )
    home.path.mkdir(parents=True, exist_ok=True)
    marker.write_text("Made by `everloop demo`, which may delete this folder.\n")
    return home


def _airflow(tell: Narrator) -> AirflowClient:
    env = os.environ
    return AirflowClient(env["EVERLOOP_AIRFLOW"], env["EVERLOOP_AIRFLOW_USER"], env["EVERLOOP_AIRFLOW_PASSWORD"], say=tell.say)


def _write_report(story: Story, tell: Narrator, path: Path = REPORT) -> dict[str, Any]:
    report = account(story.loop, story.loop.use_case.end or story.pace.until)
    report["refused_requests"] = story.weeks.refused
    report["interrupted_requests"] = story.weeks.interrupted
    report["under_way"] = story.watch.why_waiting()
    report["changed_by_backfilling_march_again"] = story.past_changed
    report["failed_tasks"] = [
        {"dag": task["dag_id"], "run": task["dag_run_id"], "task": task["task_id"]}
        for task in story.airflow.tasks_in_state("failed")
    ]
    report["seconds"] = round(tell.elapsed, 1)
    report["chapters"] = tell.chapters
    path.write_text(json.dumps(report, indent=2) + "\n")
    tell.say(f"The account is in {path.name}")
    return report


def _print_addresses(home: Home, tell: Narrator) -> None:
    tell.chapter("Look around; `make down` stops everything")
    for name, address in commands.addresses(home.path).items():
        tell.console.print(f"       {name:<16} {address}", markup=False)
