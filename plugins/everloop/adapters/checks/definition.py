"""A suite's JSON, as people write it, read strictly."""

from __future__ import annotations

from typing import Any

import msgspec

from everloop.errors import ConfigurationError

SEVERITIES = {"block": "critical", "quarantine": "warning", "warn": "info"}
"""What a failure does, and how Great Expectations' own scale, which Data Docs show, says it."""


class Expectation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One expectation: Great Expectations' own type and kwargs. `meta` has `severity` and may have `notes`."""

    type: str
    kwargs: dict[str, Any]
    meta: dict[str, Any]

    @property
    def severity(self) -> str:
        """`block`, `quarantine` or `warn`."""
        return str(self.meta.get("severity"))

    @property
    def column(self) -> str | None:
        """The column, or the columns joined by commas, or none for a rule of the whole table."""
        pair = [self.kwargs[name] for name in ("column", "column_A", "column_B") if name in self.kwargs]
        return ",".join([*pair, *self.kwargs.get("column_list", ())]) or None

    @property
    def rule(self) -> str:
        """Type and arguments in one line."""
        told = ", ".join(f"{name}={value!r}" for name, value in self.kwargs.items() if not name.startswith("column"))
        return f"{self.type}({', '.join(part for part in (self.column, told) if part)})"


class Suite(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A named list of expectations."""

    name: str
    expectations: list[Expectation]
    meta: dict[str, Any] = {}


def parse(text: str, name: str) -> Suite:
    """The suite called `name`; `ConfigurationError` reports every broken rule together."""
    try:
        suite = msgspec.json.decode(text, type=Suite)
    except msgspec.DecodeError as error:
        raise ConfigurationError(f'Suite "{name}" is not a suite: {error}') from error
    problems = [f'its name is "{suite.name}": use the name of its file'] if suite.name != name else []
    problems += [] if suite.expectations else ["it has no expectation: an empty suite passes whatever comes"]
    problems += [
        f'{each.rule}: meta.severity is "{each.severity}": use one of {list(SEVERITIES)}'
        for each in suite.expectations
        if each.severity not in SEVERITIES
    ]
    if problems:
        raise ConfigurationError(f'Suite "{name}":\n' + "\n".join(f"  - {problem}" for problem in problems))
    return suite
