"""No slice shown to be worse: the values of all slices are one family, so that many of them refuse no more by chance than one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from everloop.decide.policy import GatePolicy
from everloop.decide.release.gate.evidence import Difference
from everloop.decide.statistics.estimate import Estimate
from everloop.decide.statistics.multiplicity import step_down
from everloop.decide.verdict import Outcome, Reason


@dataclass(frozen=True)
class _Slice:
    """A slice's value with rows enough: its cost difference as measured, and the most that it may be."""

    name: str
    value: str
    cost: Estimate
    limit: float


@dataclass(frozen=True)
class _Judged:
    """A slice at the level (1 - confidence) that allows for all the others."""

    slice: _Slice
    level: float
    cost: Estimate

    @property
    def worse(self) -> bool:
        """Whether it is shown to be worse by more than its margin."""
        return self.cost.low > self.slice.limit

    def numbers(self) -> dict[str, Any]:
        """The interval as measured, and the one that was judged."""
        adjusted = {"level": self.level, "adjusted_low": self.cost.low, "adjusted_high": self.cost.high}
        return {**asdict(self.slice.cost), **adjusted, "limit": self.slice.limit}


def slices(found: Mapping[str, Mapping[str, Difference]], policy: GatePolicy) -> list[Reason]:
    """A reason for each slice: it fails when one of its values is shown to be worse by more than `policy.slice_margin`.

    Intervals are two-sided at a level at which, by Holm's step-down over all values of all slices (`step_down`, which lets slices
    overlap), any of them is wrongly shown with probability 1 - `policy.confidence` at most. Few slices have the rows to show
    that they are no worse, so what is not shown passes.
    """
    wanted = [
        _Slice(name, value, one.cost, policy.slice_margin * one.champion_cost)
        for name, values in found.items()
        for value, one in values.items()
        if one.cost is not None and one.champion_cost is not None
    ]

    def at(one: _Slice, level: float) -> _Judged:
        return _Judged(one, level, one.cost.at(1 - level, made_at=policy.confidence))

    levels = step_down(lambda i, level: at(wanted[i], level).worse, len(wanted), 1 - policy.confidence)
    judged = list(map(at, wanted, levels))
    return [_reason(name, [one for one in judged if one.slice.name == name], len(judged), policy) for name in found]


def _reason(name: str, judged: Sequence[_Judged], family: int, policy: GatePolicy) -> Reason:
    check = f"gate.slice.{name}"
    if not judged:
        text = f"no {name} has {policy.slice_minimum} rows, so none can be judged: lower GatePolicy.slice_minimum, or wait"
        return Reason(check, Outcome.INCONCLUSIVE, text, {"minimum": policy.slice_minimum})
    worse = [f"{one.slice.value} {one.cost}" for one in judged if one.worse]
    text = (
        f"{name}: cost per row worse than the champion's by more than {policy.slice_margin:.0%} for {', '.join(worse)}"
        if worse
        else f"{name}: none of {len(judged)} values shown worse than the champion by more than {policy.slice_margin:.0%}"
    )
    numbers = {"family": family, "values": {one.slice.value: one.numbers() for one in judged}}
    return Reason(check, Outcome.FAIL if worse else Outcome.PASS, f"{text} ({family} slices judged together)", numbers)
