"""The monitor: what the world and the model did, interval by interval, and whether to train again."""

from everloop.steps.monitor.drift import drift
from everloop.steps.monitor.estimate import estimate
from everloop.steps.monitor.fairness import fairness
from everloop.steps.monitor.outcomes import REWORKED, outcomes, pending, reworked
from everloop.steps.monitor.performance import performance
from everloop.steps.monitor.service import service
from everloop.steps.monitor.wanting import decide

__all__ = ["REWORKED", "decide", "drift", "estimate", "fairness", "outcomes", "pending", "performance", "reworked", "service"]
