"""What an A/B experiment compares, written down before it starts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


class Metric(StrEnum):
    """What is compared: the mean over rows of a number that each row has.

    `COST`: what the decision cost, by the use case's cost matrix, of rows with a label. `ERROR_RATE`: share of rows with a
    label that were decided wrongly. `SELECTION_RATE`: share of answered rows decided positive. `LATENCY_MS`: of a request.
    """

    COST = "cost"
    ERROR_RATE = "error_rate"
    SELECTION_RATE = "selection_rate"
    LATENCY_MS = "latency_ms"

    @property
    def labelled(self) -> bool:
        """Whether a row counts only once its label is known."""
        return self in (Metric.COST, Metric.ERROR_RATE)

    @property
    def rate(self) -> bool:
        """Whether each row is 0 or 1."""
        return self in (Metric.ERROR_RATE, Metric.SELECTION_RATE)


class Covariate(StrEnum):
    """What is taken out of the metric (CUPED), since no treatment can have touched it.

    `CONTROL`: what the control's own calibrated score expects of the metric, row by row. `BEFORE`: the metric of the same entity
    before the experiment.
    """

    NONE = "none"
    CONTROL = "control"
    BEFORE = "before"


@dataclass(frozen=True, kw_only=True)
class ExperimentPlan:
    """What an experiment compares, how surely, and for how long: frozen before the first row, kept in the ledger.

    `control` serves; `treatment` answers the share `weight` of the entities. `effect`: the smallest difference that matters,
    as a share of the control's mean when `relative`, else in the metric's own unit; it sizes the experiment, and is the
    margin within which the releases count as alike. `alpha`, `power`: 0.05 and 0.8 are the industry's standard (Kohavi, Tang
    & Xu 2020, Trustworthy Online Controlled Experiments, ch. 17). `rows`: how many rows with a metric it is planned for,
    of both arms together; there the intervals are tightest. 0: not sized yet.

    `minimum_time`: a week sees every weekday (ibid., ch. 2); shown harm does not wait for it. `maximum_time`: whatever is shown
    by then is the result. `minimum_entities`: of each arm before anything is concluded; 355 times the squared skewness
    makes a mean normal (Kohavi, Deng, Longbotham & Xu 2014, Seven Rules of Thumb for Web Site Experimenters, rule 7), here
    of a metric of skewness 1. `covariate`: what is taken out (CUPED), `before` counting back from the first request of the
    experiment. `segments`: names of the use case's `slices`; of their values, all together, the `segment_limit` largest are
    shown.
    """

    name: str
    control: str
    treatment: str
    metric: Metric
    effect: float
    rows: int = 0
    relative: bool = True
    higher_is_better: bool = False
    weight: float = 0.5
    alpha: float = 0.05
    power: float = 0.8
    minimum_time: timedelta = timedelta(days=7)
    maximum_time: timedelta = timedelta(days=28)
    minimum_entities: int = 355
    covariate: Covariate = Covariate.CONTROL
    before: timedelta = timedelta(days=14)
    segments: tuple[str, ...] = ()
    segment_limit: int = 20

    def problems(self) -> list[str]:
        """Every broken rule, in words."""
        found = []
        if not _NAME.fullmatch(self.name):
            found.append(f'ExperimentPlan.name is "{self.name}": lower-case letters, digits, _ and - only')
        if self.control == self.treatment:
            found.append(f"ExperimentPlan.treatment is {self.treatment}, which is the control: name another release")
        found += [
            f"ExperimentPlan.{name} is {value}: it must lie between 0 and 1, both excluded"
            for name, value in (("weight", self.weight), ("alpha", self.alpha), ("power", self.power))
            if not 0 < value < 1
        ]
        if self.power <= self.alpha:
            found.append(f"ExperimentPlan.power is {self.power}: it must be above alpha, {self.alpha}")
        if self.effect <= 0:
            found.append(f"ExperimentPlan.effect is {self.effect}: the smallest difference that matters must be above 0")
        found += [
            f"ExperimentPlan.{name} is {value}: it must be {least} or more"
            for name, value, least in (
                ("rows", self.rows, 0),
                ("minimum_entities", self.minimum_entities, 2),
                ("segment_limit", self.segment_limit, 1),
            )
            if value < least
        ]
        if not timedelta(0) <= self.minimum_time <= self.maximum_time:
            found.append(f"ExperimentPlan: minimum_time {self.minimum_time} must not exceed maximum_time {self.maximum_time}")
        if self.covariate is Covariate.CONTROL and self.metric is Metric.LATENCY_MS:
            found.append('ExperimentPlan.covariate is "control", and no score explains latency_ms: use "before" or "none"')
        if self.before <= timedelta(0):
            found.append(f"ExperimentPlan.before is {self.before}: it must be above 0")
        return found
