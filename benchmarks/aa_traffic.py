"""A/A on real traffic: how often a release as good as the champion is rolled back, or stuck, with the scorer's own hash."""

from __future__ import annotations

import argparse

from benchmarks.aa.flown import Flown
from benchmarks.aa.prepared import prepared
from benchmarks.aa.rollouts import play
from benchmarks.aa.setups import setups


def main() -> None:
    """The whole benchmark, or one rollout told look by look."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--one", nargs=3, metavar=("WORLD", "SALT", "POLICY"), help="play one rollout and tell every look")
    told = asked.parse_args()
    if told.one:
        tell(told.one[0], int(told.one[1]), told.one[2])


def tell(world: str, salt: int, policy: str) -> None:
    """Print every look of one rollout."""
    for look in play(Flown.read(prepared()), world, salt, setups()[policy]):
        print(f"week {look.week:5.2f}  {look.stage} {look.weight:g}  {look.rows} rows  {look.action.kind}", flush=True)
        for reason in look.action.verdict.reasons:
            print(f"    {reason.outcome:<12} {reason.check:<22} {reason.text}")


if __name__ == "__main__":
    main()
