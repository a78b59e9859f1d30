"""What must not move a score, and what must move it one way only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from everloop.decide.policy.bounds import unit

ONLINE = "every view"
"""The name under which all views of the online store are away together, as when it is down."""


@dataclass(frozen=True, kw_only=True)
class Invariance:
    """Changing `column` must not matter: on at most a `share` of the rows may the score move by more than `tolerance`.

    `column`: a model input, `<view>__<feature>` or a category. It is set to each of `values` in turn (a category's by name), or
    moved by `step` up and down, or without either shuffled among the rows. Ribeiro, Wu, Guestrin & Singh (2020), Beyond Accuracy:
    Behavioral Testing of NLP Models with CheckList, sec. 2, invariance test.
    """

    column: str
    tolerance: float
    share: float
    values: tuple[str | float, ...] = ()
    step: float | None = None

    @property
    def name(self) -> str:
        """What the verdict calls it."""
        return f"invariance.{self.column}"

    def __str__(self) -> str:
        return f"{self.column} must not move a score by more than {self.tolerance:g}"

    def problems(self) -> list[str]:
        """Every broken rule, in words."""
        both = self.values and self.step is not None
        return _shares(self) + ([f"Invariance of {self.column} has values and a step: give one of them"] if both else [])


@dataclass(frozen=True, kw_only=True)
class Direction:
    """Moving a numeric `column` up by `step` must not lower the score (not raise it, with `rises=False`).

    On at most a `share` of the rows may it move the wrong way by more than `tolerance`. Rows without a value do not count. The
    same paper's directional expectation test.
    """

    column: str
    step: float
    tolerance: float
    share: float
    rises: bool = True

    @property
    def name(self) -> str:
        """What the verdict calls it."""
        return f"direction.{self.column}"

    def __str__(self) -> str:
        wrong = "lower" if self.rises else "raise"
        return f"{self.column} up by {self.step:g} must not {wrong} a score by more than {self.tolerance:g}"

    def problems(self) -> list[str]:
        """Every broken rule, in words."""
        return _shares(self) + ([] if self.step > 0 else [f"Direction of {self.column}: step is {self.step}, it must be above 0"])


Test = Invariance | Direction


@dataclass(frozen=True, kw_only=True)
class BehaviourPolicy:
    """How a candidate is tried with inputs that were changed on purpose.

    `tests`: what domain knowledge demands. Boundary rows (nothing known, each number at the extremes of what was learnt from and
    far beyond, unknown categories) are always tried: every score must be a finite probability. `noise`: a normal error on every
    number, as a share of its standard deviation; `noise_decisions`: the largest share of decisions that it may change;
    `noise_cost`: the largest rise of the cost per row, as a share of it. `absent_cost`: the same for a feature view that is away
    altogether, by name, or `"every view"` for all of the online store. What has no limit is measured and reported only.
    `rows`: how many held-out rows are tried at most, evenly spread.
    """

    tests: tuple[Test, ...] = ()
    noise: float = 0.05
    noise_decisions: float | None = None
    noise_cost: float | None = None
    absent_cost: Mapping[str, float] = field(default_factory=dict)
    rows: int = 20_000

    def problems(self) -> list[str]:
        """Every broken rule, in words."""
        found = [problem for test in self.tests for problem in test.problems()]
        names = [test.name for test in self.tests]
        found += [
            f"BehaviourPolicy.tests has {n} more than once: one is enough" for n in dict.fromkeys(names) if names.count(n) > 1
        ]
        if self.noise <= 0:
            found.append(f"BehaviourPolicy.noise is {self.noise}: it must be above 0")
        if self.noise_decisions is not None:
            found += unit("BehaviourPolicy", "noise_decisions", self.noise_decisions)
        if self.rows < 1:
            found.append(f"BehaviourPolicy.rows is {self.rows}: it must be 1 or more")
        return found


def _shares(test: Test) -> list[str]:
    return [p for n in ("tolerance", "share") for p in unit(f"{type(test).__name__} of {test.column}", n, getattr(test, n))]
