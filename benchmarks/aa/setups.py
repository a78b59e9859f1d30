"""The policies that rollouts are played with, each with its clock."""

from __future__ import annotations

from datetime import timedelta

from benchmarks.aa.rollouts import Setup
from everloop.catalog import use_case
from everloop.decide.policy import RolloutPolicy

DEMO_SPEED = 50_000.0
"""As fast as `make demo` plays: a second is 14 hours of data, so that the minimum of 4 s is 55 hours."""
DEFAULT_SPEED = 60.0
"""A minute is an hour of data: a share of 1 % of this traffic needs seven weeks for 500 answers, and patience ends after 17."""


def setups() -> dict[str, Setup]:
    """By name: the policy of the flights and the default one."""
    case = use_case("flights")
    flights = Setup(
        name="flights",
        policy=case.rollout,
        cost=case.cost,
        groups=case.fairness,
        speed=DEMO_SPEED,
        every=case.rollout.poll * DEMO_SPEED,
        watching=case.rollout.poll * DEMO_SPEED,
        length=timedelta(weeks=12),
    )
    default = Setup(
        name="default",
        policy=RolloutPolicy(),
        cost=case.cost,
        speed=DEFAULT_SPEED,
        every=timedelta(days=3),
        watching=timedelta(days=30),
        length=timedelta(weeks=30),
    )
    return {setup.name: setup for setup in (flights, default)}
