"""Parity: what was served against what history says, measured, told, and held against those who want to go on."""

from everloop.steps.parity.measuring import KIND, measure
from everloop.steps.parity.report import lines
from everloop.steps.parity.standing import latest, standing, standings

__all__ = ["KIND", "latest", "lines", "measure", "standing", "standings"]
