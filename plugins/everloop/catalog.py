"""The use cases of a folder of DAG files, for tasks and pages that serve all of them."""

from __future__ import annotations

import runpy
import warnings
from pathlib import Path

from everloop.errors import ConfigurationError
from everloop.settings import PROJECT
from everloop.use_case import UseCase


def use_cases(folder: Path | None = None) -> dict[str, UseCase]:
    """Every `UseCase` at the top level of a `*.py` in `folder` (default: the checkout's dags/), by name."""
    found: dict[str, UseCase] = {}
    for file in sorted((folder or PROJECT / "dags").glob("*.py")):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what Airflow deprecates within itself is nothing that a reader can mend
            values = runpy.run_path(str(file)).values()
        for value in values:
            if isinstance(value, UseCase):
                found[value.name] = value
    return found


def use_case(name: str, folder: Path | None = None) -> UseCase:
    """The use case called `name`; `ConfigurationError` when no DAG file defines it."""
    found = use_cases(folder)
    if name not in found:
        raise ConfigurationError(f'No use case "{name}" in the DAG files: there are {sorted(found)}')
    return found[name]
