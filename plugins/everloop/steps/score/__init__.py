"""Batch scores of an interval: planned, scored in parts by the release that serves, published whole, given back."""

from everloop.steps.score.giving import write_back, write_files
from everloop.steps.score.parts import ScoreRows, score
from everloop.steps.score.planning import TABLE, plan
from everloop.steps.score.publishing import publish

__all__ = ["TABLE", "ScoreRows", "plan", "publish", "score", "write_back", "write_files"]
