"""What a wrong decision costs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class CostMatrix:
    """What a wrong decision costs, in the business's own unit; right decisions cost nothing.

    `false_negative`: a positive that was let go; `false_positive`: an alarm for nothing. The decision threshold that
    minimises expected cost is `false_positive / (false_positive + false_negative)` (Elkan 2001, The Foundations of
    Cost-Sensitive Learning, eq. 2).
    """

    false_positive: float = 1.0
    false_negative: float = 1.0

    @property
    def threshold(self) -> float:
        """The probability from which deciding "positive" is the cheaper choice."""
        return self.false_positive / (self.false_positive + self.false_negative)

    def problems(self) -> list[str]:
        """Every broken rule, in words."""
        return [
            f"CostMatrix.{name} is {value}: a cost must be above 0"
            for name, value in (("false_positive", self.false_positive), ("false_negative", self.false_negative))
            if value <= 0
        ]
