"""The numbers that fairlearn gives for all groups together, from their counts."""

from __future__ import annotations

from collections.abc import Mapping

from everloop.decide.fairness.groups import GroupCounts

RATES = {"demographic_parity": ("selection",), "equal_opportunity": ("tpr",), "equalized_odds": ("tpr", "fpr")}


def summary(by_group: Mapping[str, GroupCounts], minimum: int = 1) -> dict[str, float]:
    """Differences and ratios between the groups whose rate is over at least `minimum` rows, by fairlearn's names.

    `demographic_parity_*` of selection rates, `equal_opportunity_*` of true positive rates, `equalized_odds_*`: the worse of true
    and false positive rates. Left out is what two groups do not have, and a ratio of rates that are all 0.
    """
    found: dict[str, float] = {}
    for name, rates in RATES.items():
        spreads = [_rates(by_group, rate, minimum) for rate in rates]
        if all(spreads):
            found[f"{name}_difference"] = max(max(spread) - min(spread) for spread in spreads)
            if all(any(spread) for spread in spreads):
                found[f"{name}_ratio"] = min(min(spread) / max(spread) for spread in spreads)
    return found


def _rates(by_group: Mapping[str, GroupCounts], name: str, minimum: int) -> list[float]:
    found = [counts.rate(name) for counts in by_group.values()]
    rates = [hits / trials for hits, trials in found if trials >= max(1, minimum)]
    return rates if len(rates) > 1 else []
