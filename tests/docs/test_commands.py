"""Every command that the documentation shows is run here, or is named in one table with who runs it and why."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from everloop.settings import PROJECT
from everloop.stack.home import Home
from running_stack import run

PAGES = (PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md")))

ELSEWHERE = {
    "make demo": "a quarter of an hour: run by hand before a release; tests/demo and tests/workflow run its parts",
    "make screenshots": "needs chromium and the demo's stack: run by hand after `make demo`; it is tests/browser",
    "make test": "runs this very test; .ci/run calls it",
    "make check": ".ci/run calls it",
    "make up": "installs, then `everloop up`, which tests/stack runs",
    "make status": "installs, then `everloop status`, which is run here",
    "make logs": "installs, then `everloop logs`, which is run here",
    "make down": "installs, then `everloop down`, which tests/stack runs",
    "make install-spark": "`make install-dev`, which `make test` begins with, installs the same lock",
    "make bench": "minutes to an hour: run by hand, its results are in benchmarks/results; tests/benchmarks runs the parts",
    ".venv/bin/everloop down": "would end the stack of the tests that follow: tests/stack runs it, `--forget` too",
    ".venv/bin/everloop ab start": "needs examples in the lake and that no rollout is under way: tests/cli runs it, plan to stop",
    "cp docker/env.example": "the production layout needs Docker: tests/docker reads its files",
    "docker compose": "the production layout needs Docker: tests/docker reads its files",
}
"""Commands by how they begin."""

SHOWS = {
    "batch-scoring.md": ("2013-04-02", "flights_score"),
    "experiments.md": ("days of such traffic", "no experiment was ever started", "no experiment is under way"),
    "features.md": ("carrier_delay", "weather_hourly", "was replayed yet"),
    "ingest.md": ("2013-01-01", "2013-01-08"),
    "late-data.md": ("flights: all accounts add up", "0 rows in quarantine", "0 rows written", "0 rows published"),
    "observing.md": ("everloop_release_workers", "everloop_log_unshipped_bytes", "x-request-id: ", 'route="score",status="422"'),
    "operating.md": ("Already up", "scheduler", "Request 1 is noted"),
    "releases.md": ("5% of the traffic", "The chain of flights verifies", "paused:", "resumed:", "rolled_back:", "reverted:"),
    "scoring-inside.md": ("True",),
    "scoring.md": (
        '"status":"ok"',
        '"decision":',
        '"contributions":',
        '"accepted":1',
        "everloop_rows_total",
        '"id":"a flight"',
        '"predictions":',
        "scored 0.",
    ),
    "security.md": ('"accepted":1', "1 of 1 keys are valid", "is revoked since", "1 of 2 keys are valid"),
    "training.md": ("flights_retrain",),
    "use-case.md": ("fit together",),
}
"""What the commands of a page must show, besides ending well."""


def commands(page: Path) -> list[str]:
    """The lines after `$ ` in the page's console blocks, each with the lines that continue it."""
    found: list[str] = []
    for block in re.findall(r"^```console\n(.*?)^```$", page.read_text(), flags=re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append(line.removeprefix("$ "))
            else:
                assert found, f"{page.name}: a console block begins with {line!r}, which is no command"
                found[-1] += f"\n{line}"
    return found


def told_elsewhere(line: str) -> str | None:
    return next((start for start in ELSEWHERE if line.startswith(start)), None)


def here(page: Path) -> list[str]:
    return [line for line in commands(page) if told_elsewhere(line) is None]


def test_the_table_names_no_command_that_is_not_shown() -> None:
    shown = {told_elsewhere(line) for page in PAGES for line in commands(page)}
    assert set(ELSEWHERE) - shown == set()


def test_every_target_of_the_table_exists() -> None:
    targets = set(re.findall(r"^([a-z -]+):", (PROJECT / "Makefile").read_text(), flags=re.MULTILINE))
    known = {name for names in targets for name in names.split()}
    assert {start.split()[1] for start in ELSEWHERE if start.startswith("make ")} <= known


def test_shell_blocks_are_console_blocks() -> None:
    """A block of another kind would show commands that nobody runs."""
    kinds = {kind for page in PAGES for kind in re.findall(r"^```(\w+)$", page.read_text(), flags=re.MULTILINE)}
    assert kinds <= {"console", "mermaid", "python", "json"}


@pytest.mark.stack
@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", [page for page in PAGES if here(page)], ids=lambda page: page.name)
def test_the_commands_of_a_page_run(page: Path, seeded_stack: Home) -> None:
    lines = [line.replace(".venv/bin/", f"{Path(sys.executable).parent}/") for line in here(page)]
    lines = [line.replace(".everloop/", f"{seeded_stack.path}/") for line in lines]
    script = "\n".join(["set -eo pipefail", 'curl() { command curl --fail-with-body "$@"; echo; }', *lines])
    done = run(seeded_stack, ["bash", "-c", script])
    assert done.returncode == 0, f"{page.name}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    for words in SHOWS[page.name]:
        assert words in done.stdout, f"{words!r} is not in what the commands of {page.name} show:\n{done.stdout[-6000:]}"
