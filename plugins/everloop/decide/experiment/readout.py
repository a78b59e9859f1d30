"""What an experiment has shown so far: better, worse, alike, not yet known, or not to be trusted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

from everloop.decide.experiment.effect import Effect, effect
from everloop.decide.experiment.observed import Observed
from everloop.decide.experiment.sums import Sums
from everloop.decide.policy import Covariate, ExperimentPlan, FairnessPolicy, RolloutPolicy
from everloop.decide.release import guardrails
from everloop.decide.release.evidence import Evidence
from everloop.decide.release.state import Stage
from everloop.decide.verdict import Outcome, Reason, Verdict

PASS, FAIL, INCONCLUSIVE, ERROR = Outcome.PASS, Outcome.FAIL, Outcome.INCONCLUSIVE, Outcome.ERROR


class Conclusion(StrEnum):
    """What a comparison shows of the treatment. `ERROR`: the arms cannot be compared, so there is no result."""

    BETTER = "better"
    WORSE = "worse"
    ALIKE = "alike"
    INCONCLUSIVE = "inconclusive"
    ERROR = "error"


_OUTCOME = {Conclusion.BETTER: PASS, Conclusion.ALIKE: PASS, Conclusion.WORSE: FAIL}
_WORDS = {
    Conclusion.BETTER: "the treatment is better",
    Conclusion.WORSE: "the treatment is worse",
    Conclusion.ALIKE: "no difference that matters",
    Conclusion.INCONCLUSIVE: "not known yet",
    Conclusion.ERROR: "not comparable",
}


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Both arms in one population: all rows, or those where the segment `name` has `value`.

    Pairs are (control, treatment); `difference` and its sequence `low` to `high` are treatment minus control, in the metric's
    unit; `margin` is the difference that matters. Without an effect to tell of, the numbers are `None`.
    """

    name: str | None = None
    value: str | None = None
    rows: tuple[int, int]
    entities: tuple[int, int]
    means: tuple[float, float] | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    margin: float | None = None
    explained: float = 0.0
    conclusion: Conclusion = Conclusion.INCONCLUSIVE

    def text(self, plan: ExperimentPlan, share: int = 1) -> str:
        """One sentence; `share`: among how many comparisons the plan's alpha was divided."""
        counts = f"{self.rows[1]} rows of {self.entities[1]} entities against {self.rows[0]} of {self.entities[0]}"
        if self.means is None:
            return (
                f"{_WORDS[self.conclusion]}: {counts} with a {plan.metric}, {plan.minimum_entities} entities of each arm wanted"
            )
        return (
            f"{_WORDS[self.conclusion]}: {plan.metric} {self.means[1]:.4g} against {self.means[0]:.4g}, difference "
            f"{self.difference:+.4g} (always-valid {100 * (1 - plan.alpha / share):.6g}%: {self.low:+.4g} to {self.high:+.4g}; "
            f"{self.margin:.4g} matters), {counts}"
        )


@dataclass(frozen=True, kw_only=True)
class Readout:
    """One look at an experiment. `segments` inform, and decide nothing; `trusted`: no guardrail failed and the split is right."""

    overall: Comparison
    segments: tuple[Comparison, ...]
    verdict: Verdict
    trusted: bool

    @property
    def conclusion(self) -> Conclusion:
        """That of all rows."""
        return self.overall.conclusion

    def to_json(self) -> dict[str, Any]:
        """As the ledger and the report carry it."""
        return {
            "conclusion": str(self.conclusion),
            "overall": asdict(self.overall),
            "segments": [asdict(segment) for segment in self.segments],
            **self.verdict.to_json(),
        }


def read(plan: ExperimentPlan, observed: Observed, policy: RolloutPolicy) -> Readout:
    """What `observed` shows by `plan`, with the guardrails of the use case's rollout `policy`.

    A sample-ratio mismatch, or an entity that met both arms, is an error whatever the metric says (Fabijan et al. 2019,
    Diagnosing Sample Ratio Mismatch in Online Controlled Experiments). A guardrail that fails is a failure, and no
    result either. Without enough entities the readout is inconclusive.
    """
    overall = compare(plan, observed.control.sums, observed.treatment.sums, alpha=plan.alpha, tightest_at=plan.rows)
    segments, watched = tuple(_segments(plan, observed)), tuple(_watched(plan, observed, policy))
    seen = {reason.outcome for reason in watched}
    instead = Conclusion.ERROR if ERROR in seen else Conclusion.INCONCLUSIVE if FAIL in seen else None
    if instead:
        overall, *others = (replace(one, conclusion=instead) for one in (overall, *segments))
        segments = tuple(others)
    shown = Reason("experiment.effect", _OUTCOME.get(overall.conclusion, INCONCLUSIVE), overall.text(plan))
    worst = ERROR if ERROR in seen else FAIL if FAIL in seen else shown.outcome
    return Readout(overall=overall, segments=segments, verdict=Verdict(worst, (shown, *watched)), trusted=instead is None)


def compare(
    plan: ExperimentPlan,
    control: Sums,
    treatment: Sums,
    *,
    alpha: float,
    tightest_at: int,
    name: str | None = None,
    value: str | None = None,
) -> Comparison:
    """The comparison of two arms at level `alpha`."""
    counted = Comparison(
        name=name, value=value, rows=(control.rows, treatment.rows), entities=(control.entities, treatment.entities)
    )
    found = effect(control, treatment, cuped=plan.covariate is not Covariate.NONE)
    # Nothing that varies has no standard error, and its interval of no width would claim certainty.
    if found is None or not found.variance or min(counted.entities) < plan.minimum_entities:
        return counted
    low, high = found.sequence(alpha, tightest_at)
    return replace(
        counted,
        means=(found.control.value, found.treatment.value),
        difference=found.difference,
        low=low,
        high=high,
        margin=plan.effect * abs(found.control.value) if plan.relative else plan.effect,
        explained=found.explained,
        conclusion=_conclusion(plan, found, alpha, tightest_at),
    )


def _conclusion(plan: ExperimentPlan, found: Effect, alpha: float, tightest_at: int) -> Conclusion:
    low, high = found.sequence(alpha, tightest_at)
    if plan.higher_is_better:
        low, high = -high, -low
    if low > 0:
        return Conclusion.WORSE
    if high < 0:
        return Conclusion.BETTER
    return Conclusion.ALIKE if _alike(plan, found, alpha, tightest_at) else Conclusion.INCONCLUSIVE


def _alike(plan: ExperimentPlan, found: Effect, alpha: float, tightest_at: int) -> bool:
    """Whether the difference is shown to be smaller than what matters, either way (two one-sided tests: Schuirmann 1987)."""
    if not plan.relative:
        low, high = found.sequence(alpha, tightest_at)
        return -plan.effect < low and high < plan.effect
    above = found.sequence(alpha, tightest_at, 1 + plan.effect)
    below = found.sequence(alpha, tightest_at, 1 - plan.effect)
    return above.high < 0 < below.low


def _segments(plan: ExperimentPlan, observed: Observed) -> Iterator[Comparison]:
    """The values with most entities, each at `alpha / segment_limit`, so that all of them hold together.

    Bonferroni (Dunn 1961, Multiple comparisons among means): it needs nothing to be independent, and keeps each of the
    intervals always valid. The number is the plan's, not how many were seen, since that would depend on the data.
    """
    control, treatment = observed.control.segments, observed.treatment.segments
    counts = {key: sum(side.get(key, Sums()).entities for side in (control, treatment)) for key in (*control, *treatment)}
    alpha, tightest_at = plan.alpha / plan.segment_limit, max(2, plan.rows // plan.segment_limit)
    for name, value in sorted(counts, key=lambda key: (-counts[key], key))[: plan.segment_limit]:
        arms = (side.get((name, value), Sums()) for side in (control, treatment))
        yield compare(plan, *arms, alpha=alpha, tightest_at=tightest_at, name=name, value=value)


def _watched(plan: ExperimentPlan, observed: Observed, policy: RolloutPolicy) -> Iterator[Reason]:
    """What must be right whatever the metric says."""
    split = guardrails.sample_ratio(observed.entities, plan.weight, policy.srm_alpha)
    yield _named(replace(split, outcome=ERROR) if split.outcome is FAIL else split)
    if observed.crossed:
        text = f"{observed.crossed} entities met both arms: the assignment does not hold, so nothing can be compared"
        yield Reason("experiment.assignment", ERROR, text, {"crossed": observed.crossed})
    evidence = Evidence(
        candidate=observed.treatment.answers, baseline=observed.control.answers, same_views=observed.same_views
    )  # fmt: skip
    trial = guardrails.Trial(
        stage=Stage.EXPERIMENT, weight=plan.weight, evidence=evidence, policy=policy, groups=FairnessPolicy()
    )  # fmt: skip
    for guardrail in guardrails.GUARDRAILS:
        if Stage.EXPERIMENT in guardrail.stages:
            yield from map(_named, guardrail.judge(trial, guardrails.experiment_level(guardrail, policy)))


def _named(reason: Reason) -> Reason:
    return replace(reason, check=reason.check.replace("rollout.", "experiment."))
