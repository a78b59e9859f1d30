"""How far two distributions lie apart."""

from __future__ import annotations

import math

import numpy as np


def jensen_shannon(first: tuple[int, ...], second: tuple[int, ...]) -> float:
    """The Jensen-Shannon distance of two histograms over the same bins: square root of the divergence in bits."""
    p, q = np.asarray(first) / sum(first), np.asarray(second) / sum(second)
    middle = (p + q) / 2
    divergence = sum(float(np.sum(s[s > 0] * np.log2(s[s > 0] / middle[s > 0]))) for s in (p, q)) / 2
    return math.sqrt(min(1.0, max(0.0, divergence)))
