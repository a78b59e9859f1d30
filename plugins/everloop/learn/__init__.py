"""Computation only: split, fit, calibrate, score, explain. Frames in, model out."""
