"""Where a fit takes place: in this machine's memory, from pages on its disk, or on several workers of a cluster."""

from __future__ import annotations

from dataclasses import dataclass

from everloop.decide.policy import TrainingPolicy
from everloop.errors import ConfigurationError

FLOAT32 = 4
"""Bytes of one value of the encoded set."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """`workers`: more than one fit on the cluster. `external`: from pages on disk. `because`: the rule, with its numbers."""

    workers: int = 1
    external: bool = False
    because: str


def local(policy: TrainingPolicy, rows: int, columns: int) -> Place:
    """On this machine: in memory while the set of float32 values is within the policy's budget, else from pages."""
    size = rows * columns * FLOAT32 / 1e6
    external = size > policy.memory_mb
    word = "above" if external else "within"
    told = f"{rows} rows of {columns} columns are {size:.0f} MB, {word} TrainingPolicy.memory_mb of {policy.memory_mb}"
    return Place(external=external, because=told)


def choose(policy: TrainingPolicy, rows: int, columns: int, *, cluster: bool) -> Place:
    """Where `rows` (fitting and validation) of `columns` are fitted; `cluster`: whether there is one.

    A use case that asks for workers outright and has no cluster is a `ConfigurationError`; one that asks for them by size
    falls back to pages on disk, which need no cluster and no memory.
    """
    here = local(policy, rows, columns)
    if policy.workers == 1 or (policy.spark_rows is not None and rows < policy.spark_rows):
        return here
    asked = f"TrainingPolicy.workers is {policy.workers}"
    if policy.spark_rows is not None:
        asked += f" from {policy.spark_rows} rows on, and there are {rows}"
    if cluster:
        return Place(workers=policy.workers, because=asked)
    if policy.spark_rows is None:
        raise ConfigurationError(
            f"{asked}, and EVERLOOP_SPARK names no cluster: set it to one (spark://host:7077), set workers to 1, or give "
            "spark_rows, so that smaller sets are fitted on this machine"
        )
    return Place(external=True, because=f"{asked}, but EVERLOOP_SPARK names no cluster: fitted from pages on disk")
