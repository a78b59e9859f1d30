"""The metrics that must not regress while a release is on trial, each judged so that looking often costs nothing.

A guardrail fails when a test that holds at every look shows harm beyond the allowed margin. It passes when the required sample is
there and does not speak against the margin; in between it is inconclusive, and time brings more rows. Each takes `alpha`,
the chance that it fails, at any of its looks, a release that is as good as the one it is held against.
"""

from everloop.decide.release.guardrails.answers import error_rate, latency, load_check, missing_features, shadow_errors
from everloop.decide.release.guardrails.costs import estimated_cost, labelled_cost
from everloop.decide.release.guardrails.decisions import decision_shift, ranking_shift
from everloop.decide.release.guardrails.split import sample_ratio
from everloop.decide.release.guardrails.table import GUARDRAILS, Guardrail, Trial, experiment_level, level

__all__ = [
    "GUARDRAILS",
    "Guardrail",
    "Trial",
    "decision_shift",
    "error_rate",
    "estimated_cost",
    "experiment_level",
    "labelled_cost",
    "latency",
    "level",
    "load_check",
    "missing_features",
    "ranking_shift",
    "sample_ratio",
    "shadow_errors",
]
