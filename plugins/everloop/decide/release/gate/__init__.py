"""May a candidate meet traffic? Floors, sane behaviour, and no worse than the champion on the same later-in-time rows."""

from everloop.decide.release.gate.behaviour import Behaviour, Boundaries, Disturbance, Tally
from everloop.decide.release.gate.evidence import Candidate, Champion, Comparison, Difference, Evidence, Scored, alone, compare
from everloop.decide.release.gate.serving import served
from everloop.decide.release.gate.verdict import judge

__all__ = [
    "Behaviour",
    "Boundaries",
    "Candidate",
    "Champion",
    "Comparison",
    "Difference",
    "Disturbance",
    "Evidence",
    "Scored",
    "Tally",
    "alone",
    "compare",
    "judge",
    "served",
]
