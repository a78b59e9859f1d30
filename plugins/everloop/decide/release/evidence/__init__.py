"""What traffic shows of a release on trial: counts that are enough to judge it; counts of batches add up, in any order."""

from everloop.decide.release.evidence.arms import LATENCY_EDGES, Arm, Assigned, ByUnit, LoadCheck
from everloop.decide.release.evidence.columns import Rows
from everloop.decide.release.evidence.gathered import Evidence
from everloop.decide.release.evidence.pairs import DecisionPairs, ExpectedCosts, PairedCosts
from everloop.decide.release.evidence.traffic import COLUMNS, from_traffic, trial
from everloop.decide.release.evidence.views import OwnViews, Views

__all__ = [
    "COLUMNS",
    "LATENCY_EDGES",
    "Arm",
    "Assigned",
    "ByUnit",
    "DecisionPairs",
    "Evidence",
    "ExpectedCosts",
    "LoadCheck",
    "OwnViews",
    "PairedCosts",
    "Rows",
    "Views",
    "from_traffic",
    "trial",
]
