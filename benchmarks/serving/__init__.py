"""Scoring services side by side: the same model and the same request for each, in an environment of its own."""
