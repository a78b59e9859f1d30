"""Suites in memory: rules as Python functions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from everloop.errors import ConfigurationError
from everloop.ports import Failure, Validation


@dataclass(frozen=True)
class Rule:
    """`column` of every row must make `holds` true, nulls aside."""

    expectation: str
    column: str
    severity: str
    holds: Callable[[Any], bool]


class MemoryChecks:
    """`ports.Checks` over rules by suite; `runs` says what was validated."""

    def __init__(self, suites: Mapping[str, Sequence[Rule]]) -> None:
        self._suites = suites
        self.runs: list[tuple[str, str]] = []

    def validate(self, rows: pa.Table, suite: str, run_name: str) -> Validation:
        rules = self._rules(suite)
        if lost := [rule.column for rule in rules if rule.column not in rows.column_names]:
            raise ConfigurationError(f'Suite "{suite}" could not be evaluated: there is no column {lost}')
        self.runs.append((suite, run_name))
        found = ((rule, self._broken(rule, rows)) for rule in rules)
        failures = tuple(
            Failure(
                expectation=rule.expectation,
                column=rule.column,
                severity=rule.severity,
                text=f"{rule.expectation}({rule.column}) is broken by {len(broken)} of {rows.num_rows} rows",
                rows=broken,
            )
            for rule, broken in found
            if broken
        )
        return Validation(suite=suite, evaluated=len(rules), failures=failures)

    def validate_batches(self, batches: Iterable[pa.RecordBatch], suite: str, run_name: str) -> Validation:
        return self.validate(pa.Table.from_batches(list(batches)), suite, run_name)

    def suite_text(self, suite: str) -> str:
        return "\n".join(f"{rule.expectation}({rule.column})" for rule in self._rules(suite))

    def _rules(self, suite: str) -> Sequence[Rule]:
        if suite not in self._suites:
            raise ConfigurationError(f'There is no suite "{suite}" (there are {sorted(self._suites)})')
        return self._suites[suite]

    @staticmethod
    def _broken(rule: Rule, rows: pa.Table) -> tuple[int, ...]:
        values = rows[rule.column].to_pylist()
        return tuple(i for i, value in enumerate(values) if value is not None and not rule.holds(value))
