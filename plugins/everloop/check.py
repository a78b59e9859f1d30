"""`everloop check`: whether the three files of a use case exist, parse and fit together, found out without a stack.

Where there are data already, it also tells what of the policies they are too few for.
"""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from everloop import catalog
from everloop.errors import ConfigurationError, SourceError
from everloop.settings import PROJECT
from everloop.use_case import UseCase

if TYPE_CHECKING:
    import pyarrow as pa

    from everloop.adapters.checks import ExpectationSuites
    from everloop.release import FeaturePlan

REQUIRED = ("key", "event_timestamp", "label", "label_time")
"""What `Examples.sql` must select besides the request's fields."""


def check(name: str, project: Path = PROJECT) -> list[str]:
    """Every problem of the use case called `name` in the checkout `project`, in words; empty when there is none."""
    found: list[str] = []
    try:
        use_case = catalog.use_case(name, project / "dags")
    except Exception as error:  # a DAG file is anybody's Python
        return [f"dags/: {_told(error)}"]
    plan = _plan(use_case, project / "feature_repo", found)
    examples = _examples(use_case, found)
    found += _fields(use_case, plan, examples)
    found += _label(examples)
    found += _behaviour(use_case, plan)
    found += _suites(use_case, project / "expectations" / name, plan, examples)
    return found


def warnings(name: str, project: Path = PROJECT) -> list[str]:
    """What the policies of a use case that fits ask and will not get, in words: limits that are not set, labels that are too few.

    Labels are counted where a lake or the sources can be reached; where nothing can, nothing is said of them.
    """
    use_case = catalog.use_case(name, project / "dags")
    return [*_unlimited(use_case), *_too_few(use_case)]


def _unlimited(use_case: UseCase) -> Iterator[str]:
    if use_case.fairness.columns and not use_case.fairness.judges:
        yield (
            f"FairnessPolicy has columns {', '.join(use_case.fairness.columns)} and no limit: groups are reported and nothing is "
            "judged; set a limit, for instance opportunity_difference"
        )


def _too_few(use_case: UseCase) -> Iterator[str]:
    from everloop.decide.release.gate import sample_size
    from everloop.steps.training.label_count import label_count
    from everloop.wiring import connect

    try:
        loop = connect(use_case)
        found = label_count(loop.lake, loop.source, use_case)
    except (ConfigurationError, SourceError):  # no stack, no source yet: there is nothing to count
        return
    except Exception as error:  # an object store, a query: what it says is the finding
        yield f"labels could not be counted: {_told(error)}"
        return
    if found:
        yield from sample_size.warnings(found, use_case.gate, use_case.training, use_case.cost, use_case.fairness)


def _told(error: Exception) -> str:
    words = str(error).strip()
    return words if isinstance(error, ConfigurationError) else f"{type(error).__name__}: {words}"


def _plan(use_case: UseCase, repo: Path, found: list[str]) -> FeaturePlan | None:
    """How the scorer would make a feature vector; `None`, with the reason in `found`, when the repository does not load."""
    from everloop.adapters.features.declared import DeclaredFeatures

    where = f"feature_repo/{use_case.name}.py"
    try:
        with tempfile.TemporaryDirectory(prefix="everloop-check-") as folder:
            features = DeclaredFeatures(repo, use_case, Path(folder))
            features.apply()
            found += [f"{where}: {problem}" for problem in features.problems()]
            plan = features.plan()
            features.request_functions()
            return plan
    except Exception as error:  # Feast, or the module itself, may raise anything
        found.append(f"{where}: {_told(error)}")
        return None


def _examples(use_case: UseCase, found: list[str]) -> dict[str, pa.DataType]:
    """The columns that `Examples.sql` gives and their types, found by running it on empty tables."""
    from everloop.adapters.features.declared import empty
    from everloop.adapters.lake.sql import run

    bounds = {"start": use_case.start, "end": use_case.start + use_case.interval}
    try:
        tables = {name: empty(use_case.source(name)) for name in use_case.examples.tables}
        schema = run(use_case.examples.sql, tables, bounds).schema
        return dict(zip(schema.names, schema.types, strict=True))
    except Exception as error:  # whatever the SQL makes DuckDB say, it is the finding
        found.append(f"Examples.sql: {_told(error)}")
        return {}


def _label(examples: Mapping[str, pa.DataType]) -> Iterator[str]:
    """A label whose type can be no label's."""
    from everloop.steps.labels import may_be

    kind = examples.get("label")
    if kind is not None and not may_be(kind):
        yield (
            f"Examples.sql gives labels of type {kind}: a label is true or false (1 or 0); compare, for instance "
            "`amount > 100 AS label`"
        )


def _fields(use_case: UseCase, plan: FeaturePlan | None, examples: Collection[str]) -> Iterator[str]:
    """Columns that the use case counts on and `Examples.sql` does not select."""
    wanted = {
        "every training set needs": REQUIRED,
        "UseCase.entity names": use_case.entity,
        "UseCase.categories names": use_case.categories,
        "FairnessPolicy.columns names": use_case.fairness.columns,
        "a request carries": tuple(plan.request) if plan else (),
    }
    for who, columns in wanted.items():
        if examples and (lost := [column for column in columns if column not in examples]):
            yield f"Examples.sql does not select {', '.join(lost)}, which {who}: select them"


def _behaviour(use_case: UseCase, plan: FeaturePlan | None) -> Iterator[str]:
    """Behaviour tests of what the model will not take."""
    from everloop.learn.behaviour import check_names
    from everloop.learn.encode import model_columns

    if plan is None:
        return
    try:
        views = [view.name for view in plan.views]
        check_names(use_case.gate.behaviour, model_columns(plan, use_case.categories), views)
    except ConfigurationError as error:
        yield str(error)


def _suites(use_case: UseCase, folder: Path, plan: FeaturePlan | None, examples: Collection[str]) -> Iterator[str]:
    """What is wrong with each suite that the use case names, and with the requests' suite as the scorer reads it."""
    from everloop.adapters.checks import ExpectationSuites
    from everloop.learn.encode import feature_types

    features = set(feature_types(plan)) if plan else set()
    joined = {*examples, *features} if examples and plan else None
    rows: dict[str, Iterable[str] | None] = {table.suite: table.columns for table in use_case.sources}
    rows |= {use_case.examples.suite: joined} | ({use_case.feature_suite: joined} if use_case.feature_suite else {})
    suites = ExpectationSuites(folder, folder)
    for suite, columns in rows.items():
        found = list(_suite(suites, suite, columns))
        if not found and plan and suite == use_case.examples.suite:
            found = _request_rules(suites.suite_text(suite), plan)
        yield from (f"expectations/{use_case.name}/{suite}.json: {problem}" for problem in found)


def _suite(suites: ExpectationSuites, suite: str, columns: Iterable[str] | None) -> Iterator[str]:
    """What is wrong with one suite, whose rows have `columns`, where these are known."""
    try:
        named = suites.columns(suite)
    except ConfigurationError as error:
        yield str(error)
        return
    if columns is not None and (unknown := sorted(named - set(columns))):
        yield f"it speaks of {', '.join(unknown)}, which its rows do not have: name one of {', '.join(sorted(columns))}"


def _request_rules(text: str, plan: FeaturePlan) -> list[str]:
    """What the scorer, which holds every request to the examples' suite, cannot make of it."""
    from everloop.serve.reading.checks import compile_suite

    try:
        compile_suite(text.encode(), plan.request)
    except ConfigurationError as error:
        return [f"as the scorer reads it: {error}"]
    return []
