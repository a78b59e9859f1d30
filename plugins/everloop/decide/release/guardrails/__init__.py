"""The metrics that must not regress while a release is on trial, each judged so that looking often costs nothing.

A guardrail fails when its always-valid interval shows harm beyond the allowed margin. It passes when the required sample is
there and the estimate lies within the margin; in between it is inconclusive, and time brings more rows. Each takes `alpha`,
the chance that it fails, at any of its looks, a release that is as good as the one it is held against.
"""

from everloop.decide.release.guardrails.answers import error_rate, latency, load_check, missing_features, shadow_errors
from everloop.decide.release.guardrails.costs import estimated_cost, labelled_cost
from everloop.decide.release.guardrails.scores import score_shift
from everloop.decide.release.guardrails.split import sample_ratio

__all__ = [
    "error_rate",
    "estimated_cost",
    "labelled_cost",
    "latency",
    "load_check",
    "missing_features",
    "sample_ratio",
    "score_shift",
    "shadow_errors",
]
