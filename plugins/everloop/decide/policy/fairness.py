"""How groups are compared."""

from __future__ import annotations

from dataclasses import dataclass

from everloop.decide.policy.bounds import unit

WHOLE, GROUPS = "whole", "groups"
_LIMITS = ("selection_difference", "opportunity_difference", "error_rate_difference", "selection_ratio")


@dataclass(frozen=True, kw_only=True)
class FairnessPolicy:
    """How groups of people, or of anything else, are compared.

    `columns`: group columns of `Examples.sql`, which need not be features or sent in requests. `minimum`: a rate of a group over
    fewer rows is reported, not judged; 200 rows tell a rate to about +- 0.07. Rows of one entity, or of one day, that move
    together count for as many as they are worth. `missing`: whether rows of which the group is null are a group like the others,
    "(missing)"; without it they are counted and compared with nobody.
    No limit is set unless the policy sets it; a policy with columns and no limit reports and judges nothing.
    Largest allowed difference: `selection_difference` of selection rates (demographic parity), `opportunity_difference` of true
    positive rates (equal opportunity), `error_rate_difference` of true and of false positive rates (equalized odds; Hardt, Price
    & Srebro 2016, Equality of Opportunity in Supervised Learning, sec. 2). `against`: "whole" holds each group against all
    rows, "groups" holds each two groups against each other; fairlearn calls them "to_overall" and "between_groups".
    `selection_ratio`: the smallest allowed ratio of a group's selection rate to any other's. `favourable`: which decision the
    ratio counts as selected; `False` where people want not to be chosen.
    """

    columns: tuple[str, ...] = ()
    minimum: int = 200
    selection_ratio: float | None = None
    selection_difference: float | None = None
    opportunity_difference: float | None = None
    error_rate_difference: float | None = None
    against: str = WHOLE
    missing: bool = True
    favourable: bool = True

    @classmethod
    def four_fifths(cls, *columns: str, favourable: bool = True, minimum: int = 200) -> FairnessPolicy:
        """The four-fifths rule: a group selected less than 4/5 as often as the most selected one tells of adverse impact.

        29 CFR 1607.4 D, Uniform guidelines on employee selection procedures. It excepts differences "based on small numbers" that
        are "not statistically significant": here a ratio fails when its interval lies below 0.8, passes when it is 0.8 or more
        itself, and is inconclusive in between.
        """
        return cls(columns=columns, minimum=minimum, selection_ratio=0.8, favourable=favourable)

    @property
    def judges(self) -> bool:
        """Whether any limit is set; without one groups are reported only."""
        return any(getattr(self, name) is not None for name in _LIMITS)

    def problems(self) -> list[str]:
        """Every broken rule, in words."""
        found = [p for n in _LIMITS if getattr(self, n) is not None for p in unit("FairnessPolicy", n, getattr(self, n))]
        if self.minimum < 1:
            found.append(f"FairnessPolicy.minimum is {self.minimum}: it must be 1 or more")
        if self.against not in (WHOLE, GROUPS):
            found.append(f'FairnessPolicy.against is "{self.against}": use "{WHOLE}" or "{GROUPS}"')
        return found
