"""Computation only: rows in, model and measures out."""

import os

# Before XGBoost loads OpenMP: idle workers that spin instead of sleeping cost a shared machine five times the wall time.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
