"""A/A on real traffic: how often a release as good as the champion is rolled back, or stuck, with the scorer's own hash.

`--one WORLD SALT POLICY` tells one rollout look by look; `--some WORLD POLICY SALTS` plays one case with this checkout's code.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scipy.stats import beta

from benchmarks.aa.flown import Flown
from benchmarks.aa.prepared import prepared
from benchmarks.aa.rollouts import play
from benchmarks.aa.setups import setups
from benchmarks.aa.sides import EXPERIMENT, played
from benchmarks.aa.worlds import WORLDS
from benchmarks.before import COMMIT, checkout
from benchmarks.process import PLUGINS, measure
from benchmarks.record import RESULTS, Record

POLICIES = ("flights", "default")
REAL = ("same", "seeds")
CASES = tuple(
    (world, policy) for world in WORLDS for policy in ((*POLICIES, EXPERIMENT) if world in REAL else ("default", EXPERIMENT))
)
SALTS, SALTS_BEFORE = 500, 60
"""Rollouts of each case, by this code and by that of before; half as many where the traffic is made."""
PROMISED, MARGIN, STUCK = 0.05, 0.02, 0.02
"""Alpha and the cost margin of both policies; and how many rollouts may end without a verdict."""


def main() -> None:
    """The whole benchmark, or a part of it, which is told only."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--one", nargs=3, metavar=("WORLD", "SALT", "POLICY"))
    asked.add_argument("--some", nargs=3, metavar=("WORLD", "POLICY", "SALTS"))
    told = asked.parse_args()
    if told.one:
        tell(told.one[0], int(told.one[1]), told.one[2])
    elif told.some:
        world, policy, salts = told.some
        print(json.dumps(summary(played(str(prepared()), [(world, policy, int(salts))])), indent=2))
    else:
        run(CASES, SALTS, SALTS_BEFORE, RESULTS)


def run(cases: Sequence[tuple[str, str]], salts: int, before: int, results: Path) -> None:
    """Play both sides, hold the shares against what is promised, and write the result to `results`."""
    record, flown = Record("aa_traffic", packages=("numpy", "scipy", "xgboost", "xxhash")), str(prepared())
    _record(record, "now", cases, _measured(flown, cases, salts, PLUGINS))
    with checkout() as earlier:
        _record(record, f"before ({COMMIT})", cases, _measured(flown, cases, before, earlier / "plugins"))
    record.finish(results)


def _measured(flown: str, cases: Sequence[tuple[str, str]], salts: int, plugins: Path) -> list[dict[str, Any]]:
    wanted = [(world, policy, salts if world in REAL else salts // 2) for world, policy in cases]
    found: list[dict[str, Any]] = measure("benchmarks.aa.sides", "played", plugins=plugins, flown=flown, cases=wanted).value
    return found


def _record(record: Record, side: str, cases: Sequence[tuple[str, str]], found: Sequence[dict[str, Any]]) -> None:
    for world, policy in cases:
        ended = [one for one in found if (one["world"], one["policy"]) == (world, policy)]
        name = f"{world}, {policy}"
        alarms, stuck = sum(map(false_alarm, ended)), sum(one["how"] in ("paused", "stuck") for one in ended)
        low, high = exact(alarms, len(ended))
        record.sample(f"{side}: {name}", false_alarms=alarms / len(ended), low=low, high=high, stuck=stuck / len(ended))
        record.fact(f"{side}: {name}", summary(ended))
        if side == "now":
            what = "guardrails' false alarms" if policy == EXPERIMENT else "false rollbacks"
            record.ratio(f"{what}, upper end / promised: {name}", high / PROMISED, 1.0, "lower")
            if policy != EXPERIMENT:
                record.ratio(f"stuck or paused / 2 %: {name}", stuck / len(ended) / STUCK, 1.0, "lower")


def false_alarm(ended: dict[str, Any]) -> bool:
    """Whether a release was stopped for nothing: not for a cost that on all of its traffic is more than the margin allows."""
    if ended["how"] == "rolled_back":
        return not (ended["excess"] > MARGIN and ended["checks"] == ["rollout.cost"])
    return ended["how"] == "stopped"


def exact(hits: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """The interval of a rate that never covers less than it says (Clopper & Pearson 1934)."""
    tail = (1 - confidence) / 2
    low = float(beta.ppf(tail, hits, trials - hits + 1)) if hits else 0.0
    high = float(beta.ppf(1 - tail, hits + 1, trials - hits)) if hits < trials else 1.0
    return low, high


def summary(ended: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """How many ended how, by which checks, and one of each as the code told it."""
    against = [one for one in ended if one["checks"] and one["how"] != "promoted"]
    reasons = {f"{one['how']}: {', '.join(one['checks'])}": one for one in reversed(against)}
    counts = Counter(f"{one['how']}: {', '.join(one['checks'])}" for one in against)
    return {
        "count": len(ended),
        "how": dict(Counter(one["how"] for one in ended)),
        "looks": round(sum(one["looks"] for one in ended) / len(ended), 1),
        "costlier than the margin": sum(one["how"] == "rolled_back" and not false_alarm(one) for one in ended),
        "why": {why: {"count": count, "salt": reasons[why]["salt"], "as": reasons[why]["why"]} for why, count in counts.items()},
    }


def tell(world: str, salt: int, policy: str) -> None:
    """Print every look of one rollout."""
    for look in play(Flown.read(prepared()), world, salt, setups()[policy]):
        print(f"week {look.week:5.2f}  {look.stage} {look.weight:g}  {look.rows} rows  {look.action.kind}", flush=True)
        for reason in look.action.verdict.reasons:
            print(f"    {reason.outcome:<12} {reason.check:<22} {reason.text}")


if __name__ == "__main__":
    main()
