"""How far one column of a window has moved from its reference, and whether ordinary windows do that too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from everloop.decide.policy import DriftPolicy
from everloop.decide.watch.measures import Counted, limits, measured
from everloop.decide.watch.ordinary import Ordinary, ordinary
from everloop.interval import Interval


@dataclass(frozen=True, kw_only=True)
class Shift:
    """One column's distance from its reference, over `rows` rows, each measure less what sampling alone gives.

    `psi`: population stability index. `jensen_shannon`: distance, 0 to 1. `wasserstein`: in shares of the range between the
    outer cut points, `None` for categories. Rates are shares of the rows; unknown ones are category values that the model
    does not know, outside ones numbers beyond the reference's fences. `ordinary`: what windows of the period that was learnt from
    show; `None` where that is not known.
    """

    rows: int
    psi: float
    jensen_shannon: float
    wasserstein: float | None
    missing_rate: float
    reference_missing_rate: float
    unknown_rate: float
    reference_unknown_rate: float = 0.0
    outside_rate: float = 0.0
    reference_outside_rate: float = 0.0
    ordinary: Ordinary | None = None

    def beyond(self, policy: DriftPolicy) -> dict[str, float]:
        """The measures that reach a limit of the policy, with their values; of the rates, the rise over the reference."""
        found = {name: self._effect(name) for name in limits(policy)}
        return {name: value for name, value in found.items() if value is not None and value >= getattr(policy, name)}

    def moved(self, policy: DriftPolicy, level: float) -> dict[str, float]:
        """Those of them that an ordinary window exceeds with probability `level` at most, all measures together.

        Each is judged at its share of `level` (Bonferroni), whatever they have to do with each other.
        """
        usual = self.usual(policy, level)
        return {name: value for name, value in self.beyond(policy).items() if name not in usual or value > usual[name]}

    def usual(self, policy: DriftPolicy, level: float) -> dict[str, float]:
        """Up to where ordinary windows go, by measure that is judged, rates as rises; empty where nothing is known of them."""
        if self.ordinary is None:
            return {}
        judged = [name for name in limits(policy) if name in self.ordinary.roots]
        most = {name: self.ordinary.limit(name, level / len(judged)) for name in judged}
        return {name: max(0.0, value - self._reference(name)) for name, value in most.items()}

    def told(self, policy: DriftPolicy, level: float) -> str:
        """By what it moved, or its PSI, and up to where ordinary windows go where that is known."""
        measures, usual = self.moved(policy, level) or {"psi": self.psi}, self.usual(policy, level)
        values = ", ".join(f"{name} {value:.2f}" for name, value in measures.items())
        most = ", ".join(f"{usual[name]:.2f}" for name in measures if name in usual)
        return f"{values} ({self.ordinary} show up to {most})" if most else values

    def _effect(self, measure: str) -> float | None:
        value: float | None = getattr(self, measure)
        return None if value is None else value - self._reference(measure)

    def _reference(self, measure: str) -> float:
        """The reference's rate; a distance is from the reference already."""
        return float(getattr(self, f"reference_{measure}", 0.0))


def compare(column: Mapping[str, Any], counts: Mapping[str, Any], window: Interval | None = None, least: int = 1) -> Shift | None:
    """The shift of a window's counts from the reference `column`; `None` when either holds no row.

    With `window`, the time that it covers, also what ordinary windows of that length and so many rows show, as far as the
    reference tells; those of fewer rows than `least` are none.
    """
    before, after = Counted.of(column), Counted.of(counts)
    if not before.rows or not after.rows:
        return None
    found = measured(column, before, after)
    return Shift(
        rows=after.rows,
        psi=found["psi"],
        jensen_shannon=found["jensen_shannon"],
        wasserstein=found.get("wasserstein"),
        **after.rates,
        **{f"reference_{name}": rate for name, rate in before.rates.items()},
        ordinary=None if window is None else ordinary(column, window, after.rows, least),
    )
