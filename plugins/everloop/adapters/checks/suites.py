"""Runs suites by Great Expectations, and says in the loop's own words what failed."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from everloop.adapters.checks import docs
from everloop.adapters.checks.definition import SEVERITIES, Expectation, Suite, parse
from everloop.errors import ConfigurationError
from everloop.ports import Failure, Validation

if TYPE_CHECKING:
    from great_expectations.core import ExpectationSuite, ExpectationSuiteValidationResult
    from great_expectations.data_context import AbstractDataContext

    from everloop.adapters.checks.compiled.rule import Judged

# Row positions are wanted in full; the values are in the rows themselves.
_FORMAT = {"result_format": "COMPLETE", "exclude_unexpected_values": True}


class ExpectationSuites:
    """`ports.Checks`. `folder`: holds `<suite>.json`. `data_docs`: where the pages go, `index.html` first; `kept` of them.

    Importing Great Expectations costs seconds, so nothing of it is touched before the first validation.
    """

    def __init__(self, folder: Path, data_docs: Path, *, kept: int = docs.KEPT) -> None:
        self._folder = folder
        self._kept = kept
        self._docs = data_docs

    def suite_text(self, suite: str) -> str:
        """See `ports.Checks.suite_text`."""
        try:
            return (self._folder / f"{suite}.json").read_text(encoding="utf-8")
        except FileNotFoundError:
            known = sorted(path.stem for path in self._folder.glob("*.json"))
            raise ConfigurationError(
                f'There is no suite "{suite}" in {self._folder} (there are {known}): write {suite}.json'
            ) from None

    def columns(self, suite: str) -> frozenset[str]:
        """The columns that a suite speaks of, once Great Expectations has taken every line of it.

        `ConfigurationError` with every expectation that does not exist, lacks arguments or cannot do what its severity says.
        """
        definition = parse(self.suite_text(suite), suite)
        _quiet()
        _expectations(definition)
        return frozenset(name for each in definition.expectations for name in (each.column or "").split(",") if name)

    def validate(self, rows: pa.Table, suite: str, run_name: str) -> Validation:
        """See `ports.Checks.validate`.

        A `quarantine` expectation names every row that breaks it, `mostly` or not; the others fail as Great Expectations says.
        `ConfigurationError` when an expectation cannot be evaluated: that is never a pass.
        """
        definition = parse(self.suite_text(suite), suite)
        context = self._context()
        expectations = _expectations(definition)
        batch = (
            context.data_sources.add_pandas(name="rows")
            .add_dataframe_asset(name=suite)
            .add_batch_definition_whole_dataframe(name="interval")
            .get_batch({"dataframe": rows.to_pandas()})
        )
        result = batch.validate(context.suites.add(expectations), result_format=_FORMAT)
        failures = _failures(definition, result)
        docs.publish(context, self._docs, result, suite, run_name, self._kept)
        return Validation(suite=suite, evaluated=len(definition.expectations), failures=failures)

    def validate_batches(self, batches: Iterable[pa.RecordBatch], suite: str, run_name: str) -> Validation:
        """See `ports.Checks.validate_batches`. `ConfigurationError` for an expectation that has no compiled form."""
        from everloop.adapters.checks.compiled import CompiledSuite

        definition = parse(self.suite_text(suite), suite)
        at_work = CompiledSuite(definition)
        for batch in batches:
            at_work.add(batch)
        judged = at_work.judged()
        context = self._context()
        shown = docs.compiled_result(_expectations(definition), judged)
        docs.publish(context, self._docs, shown, suite, run_name, self._kept)
        failures = (_compiled_failure(each, found) for each, found in zip(definition.expectations, judged, strict=True))
        return Validation(suite=suite, evaluated=len(judged), failures=tuple(failure for failure in failures if failure))

    def _context(self) -> AbstractDataContext:
        _quiet()
        import great_expectations

        return great_expectations.get_context(mode="ephemeral", project_config=docs.configuration(self._docs))


def _quiet() -> None:
    """Read when Great Expectations is imported: else it phones home, and waits for an answer that a firewall keeps back."""
    os.environ["GX_ANALYTICS_ENABLED"] = "False"


def _expectations(suite: Suite) -> ExpectationSuite:
    """Great Expectations' own objects, numbered, so that each result finds the line that it came from."""
    from great_expectations.core import ExpectationSuite
    from great_expectations.expectations import expectation as kinds

    configurations = [
        {
            "type": each.type,
            "kwargs": each.kwargs,
            "severity": SEVERITIES[each.severity],
            "meta": {**each.meta, "position": position},
        }
        for position, each in enumerate(suite.expectations)
    ]
    made = ExpectationSuite(name=suite.name, expectations=configurations)
    real = {expectation.meta["position"]: expectation for expectation in made.expectations}
    # It logs what it cannot make, and goes on without it.
    problems = [f"{each.rule} does not exist or lacks arguments" for n, each in enumerate(suite.expectations) if n not in real]
    by_row = (kinds.ColumnMapExpectation, kinds.ColumnPairMapExpectation, kinds.MulticolumnMapExpectation)
    problems += [
        f'{each.rule} judges the whole table and cannot say which rows to put aside: use severity "block" or "warn"'
        for n, each in enumerate(suite.expectations)
        if n in real and each.severity == "quarantine" and not isinstance(real[n], by_row)
    ]
    if problems:
        raise ConfigurationError(f'Suite "{suite.name}":\n' + "\n".join(f"  - {problem}" for problem in problems))
    return made


def _failures(suite: Suite, result: ExpectationSuiteValidationResult) -> tuple[Failure, ...]:
    by_position = {each.expectation_config.meta["position"]: each for each in result.results}
    broken = [
        f"{each.rule}: {message}"
        for position, each in enumerate(suite.expectations)
        if (message := _exception(by_position[position].exception_info))
    ]
    if broken:
        raise ConfigurationError(
            f'Suite "{suite.name}" could not be evaluated:\n'
            + "\n".join(f"  - {line}" for line in broken)
            + "\nCorrect the suite, or give the rows the columns and types that it speaks of"
        )
    judged = (_failure(each, by_position[position]) for position, each in enumerate(suite.expectations))
    return tuple(failure for failure in judged if failure is not None)


def _failure(expectation: Expectation, result: Any) -> Failure | None:
    rows = tuple(int(position) for position in result.result.get("unexpected_index_list") or ())
    if result.success and not (expectation.severity == "quarantine" and rows):
        return None
    by_row = "element_count" in result.result
    told = _broken(len(rows), result.result["element_count"]) if by_row else _observed(result.result.get("observed_value"))
    return _told(expectation, told, rows)


def _compiled_failure(expectation: Expectation, found: Judged) -> Failure | None:
    if found.success and not (expectation.severity == "quarantine" and found.broken):
        return None
    told = _observed(found.observed) if found.elements is None else _broken(found.broken, found.elements)
    return _told(expectation, told, found.rows)


def _told(expectation: Expectation, told: str, rows: tuple[int, ...]) -> Failure:
    return Failure(
        expectation=expectation.type,
        column=expectation.column,
        severity=expectation.severity,
        text=f"{expectation.rule} {told}",
        rows=rows,
    )


def _broken(rows: int, of: int) -> str:
    return f"is broken by {rows} of {of} rows"


def _observed(value: Any) -> str:
    return f"does not hold: {value} was observed"


def _exception(info: dict[str, Any]) -> str | None:
    """The message inside `exception_info`, which is one record, or one per metric that could not be computed."""
    records = [info] if "raised_exception" in info else list(info.values())
    messages = [str(record["exception_message"]) for record in records if record.get("raised_exception")]
    return messages[0] if messages else None
