"""How an interval is scored in one go."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class BatchPolicy:
    """How an interval's examples are divided into parts, each of which one task scores.

    `part_rows`: how many examples a part has at most; a task holds one part at a time, so this bounds its memory. The default is
    ours: a task needs about 10 CPU seconds to begin (Airflow, Feast, XGBoost), and 500,000 flights take as many; with their
    features they take half a gigabyte.
    """

    part_rows: int = 500_000

    def problems(self) -> list[str]:
        """Every broken rule, in words."""
        return [] if self.part_rows >= 1 else [f"BatchPolicy.part_rows is {self.part_rows}: it must be 1 or more"]
