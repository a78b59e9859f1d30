"""The monitor: what the world and the model did, interval by interval, and whether to train again."""

from everloop.steps.monitor.measuring import drift, estimate, fairness, performance, service
from everloop.steps.monitor.outcomes import outcomes, pending
from everloop.steps.monitor.wanting import decide

__all__ = ["decide", "drift", "estimate", "fairness", "outcomes", "pending", "performance", "service"]
