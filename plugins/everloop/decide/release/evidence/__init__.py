"""What traffic shows of a release on trial: counts that are enough to judge it; counts of batches add up, in any order."""

from everloop.decide.release.evidence.arms import LATENCY_EDGES, Arm, Assigned, LoadCheck
from everloop.decide.release.evidence.columns import Rows
from everloop.decide.release.evidence.gathered import Evidence
from everloop.decide.release.evidence.pairs import SCORE_EDGES, ExpectedCosts, PairedCosts, ScorePairs
from everloop.decide.release.evidence.traffic import COLUMNS, from_traffic, trial

__all__ = [
    "COLUMNS",
    "LATENCY_EDGES",
    "SCORE_EDGES",
    "Arm",
    "Assigned",
    "Evidence",
    "ExpectedCosts",
    "LoadCheck",
    "PairedCosts",
    "Rows",
    "ScorePairs",
    "from_traffic",
    "trial",
]
