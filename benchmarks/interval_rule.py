"""The customary canary rule: every interval, hold the challenger's metrics of that interval against fixed thresholds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.streams import World, answered


@dataclass(frozen=True, kw_only=True)
class IntervalRule:
    """As Flagger's `analysis`: at each interval's end a success rate below `success` or a p99 above `p99_ms` is a failed check;
    after `threshold` of them all traffic goes back, else the weight grows by a step. The defaults are those of Flagger's own
    example (`threshold: 5`, `request-success-rate` at least 99, `request-duration` at most 500).
    """

    threshold: int = 5
    success: float = 0.99
    p99_ms: float = 500.0

    def play(self, world: World, steps: tuple[float, ...], chance: np.random.Generator) -> tuple[bool, int, int]:
        """Whether it rolled back; the rows that the challenger answered until then or until the end; those that failed."""
        step, failures, rows, errors = 0, 0, 0, 0
        for _ in range(world.minutes):
            arm = answered(int(chance.binomial(world.requests, steps[step])), world, 0, chance)
            rows, errors = rows + arm.requests, errors + arm.errors
            bad = arm.requests > 0 and (1 - arm.errors / arm.requests < self.success or arm.quantile(0.99) > self.p99_ms)
            failures += bad
            if failures >= self.threshold:
                return True, rows, errors
            if not bad and step == len(steps) - 1:
                return False, rows, errors  # promoted: nobody looks any more
            step = step if bad else step + 1
        return False, rows, errors
