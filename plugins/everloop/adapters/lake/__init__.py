"""The lake: Delta tables, SQL over them, and what is staged between two tasks."""

from everloop.adapters.lake.delta import DeltaLake

__all__ = ["DeltaLake"]
