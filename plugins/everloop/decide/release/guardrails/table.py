"""The guardrails as one table: in which stages each is judged, whether it must pass, how much of alpha it spends, and by what."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from everloop.decide import fairness, parity_verdict
from everloop.decide.policy import FairnessPolicy, RolloutPolicy
from everloop.decide.release.evidence import Evidence
from everloop.decide.release.guardrails.answers import error_rate, latency, missing_features, shadow_errors
from everloop.decide.release.guardrails.costs import estimated_cost, labelled_cost
from everloop.decide.release.guardrails.decisions import decision_shift, ranking_shift
from everloop.decide.release.guardrails.split import sample_ratio
from everloop.decide.release.state import Stage
from everloop.decide.verdict import Reason

SHADOW, CANARY, WATCH, EXPERIMENT = Stage.SHADOW, Stage.CANARY, Stage.WATCH, Stage.EXPERIMENT
ALL = frozenset({SHADOW, CANARY, WATCH})


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What a guardrail looks at: the stage with its evidence, the challenger's `weight` there, and what the use case allows."""

    stage: Stage
    weight: float
    evidence: Evidence
    policy: RolloutPolicy
    groups: FairnessPolicy


@dataclass(frozen=True, kw_only=True)
class Guardrail:
    """A metric that must not regress.

    `judge` gives its reasons at a level: the chance that it fails an equal release at any of its looks. `share`: how much of
    `RolloutPolicy.alpha` it gets beside the others, 0 where it does not test by chance, or spends what is its own. `anew`:
    whether its evidence begins with each stage, so that its share is divided among them. `required`: whether the stage needs it
    to pass; a failure always counts. `spends`: whether the use case's policies let it fail a release; else it only tells.
    """

    name: str
    stages: frozenset[Stage]
    judge: Callable[[Trial, float], Iterable[Reason]]
    share: int = 0
    anew: bool = False
    required: Callable[[Trial], bool] = lambda _: True
    spends: Callable[[RolloutPolicy, FairnessPolicy], bool] = lambda _, __: True

    def looks(self, policy: RolloutPolicy) -> int:
        """How many times a rollout begins its evidence anew: once for each step of the canary and for each other stage."""
        if not self.anew:
            return 1
        return sum(len(policy.steps) if stage is CANARY else 1 for stage in self.stages & ALL)


def _parity(trial: Trial, _: float) -> Iterator[Reason]:
    yield parity_verdict.for_rollout(trial.evidence.parity)


def _labelled_cost(trial: Trial, alpha: float) -> Iterator[Reason]:
    """Labels ripen after the canary; they are judged as they come, and the watch stays until there are enough."""
    wanted = max(trial.policy.watch_labels, trial.policy.minimum_labels)
    yield labelled_cost(trial.evidence.costs, trial.policy, alpha, wanted)


def _sample_ratio(trial: Trial, _: float) -> Iterator[Reason]:
    if trial.weight < 1:
        yield sample_ratio(trial.evidence.assigned, trial.weight, trial.policy.srm_alpha)


def _fairness(trial: Trial, alpha: float) -> Iterator[Reason]:
    """The same rule as in the gate and in monitoring, by intervals that hold at every look."""
    for column, counts in trial.evidence.groups.items() if trial.groups.judges else ():
        level = alpha / len(trial.evidence.groups)
        yield from fairness.judge(column, counts, trial.groups, alpha=level, intervals=fairness.ALWAYS_VALID).reasons


GUARDRAILS = (
    Guardrail(
        name="shadow_errors",
        stages=frozenset({SHADOW}),
        judge=lambda t, alpha: [shadow_errors(t.evidence.pairs, t.evidence.baseline, t.policy, alpha)],
        share=1,
    ),
    Guardrail(
        name="errors",
        stages=frozenset({CANARY, WATCH, EXPERIMENT}),
        judge=lambda t, alpha: [error_rate(t.evidence.candidate, t.evidence.baseline, t.policy, alpha)],
        share=2,
        anew=True,
    ),
    Guardrail(
        name="missing",
        stages=frozenset({CANARY, WATCH, EXPERIMENT}),
        judge=lambda t, alpha: [
            missing_features(t.evidence.candidate, t.evidence.baseline, t.policy, alpha, same_views=t.evidence.same_views)
        ],
        share=1,
        anew=True,
    ),
    Guardrail(
        name="latency",
        stages=frozenset({CANARY, WATCH, EXPERIMENT}),
        judge=lambda t, alpha: [latency(t.evidence.candidate, t.evidence.baseline, t.policy, alpha)],
        share=2,
        anew=True,
    ),
    # Few entities cannot show a mismatch; the required number of answered requests stands for the evidence.
    Guardrail(name="sample_ratio", stages=frozenset({CANARY}), judge=_sample_ratio, required=lambda _: False),
    Guardrail(
        name="decisions",
        stages=ALL,
        judge=lambda t, alpha: [decision_shift(t.evidence.pairs, t.policy, alpha)],
        share=1,
        required=lambda t: t.stage is not WATCH,
    ),
    # A release of shuffled labels decides a third to four fifths differently, as models of two seasons may; its ranking tells.
    Guardrail(
        name="ranking",
        stages=ALL,
        judge=lambda t, alpha: [ranking_shift(t.evidence.pairs, t.policy, alpha)],
        share=1,
        required=lambda t: t.stage is not WATCH,
    ),
    # Where the other release's served features fail, traffic must show that those of the one on trial do not: in the shadow it
    # has none of its own.
    Guardrail(
        name="parity",
        stages=ALL,
        judge=_parity,
        required=lambda t: t.stage is not SHADOW and parity_verdict.held(t.evidence.parity),
    ),
    Guardrail(
        name="estimated_cost",
        stages=ALL,
        judge=lambda t, alpha: [estimated_cost(t.evidence.expected, t.policy, alpha)],
        share=1,
        required=lambda _: False,
        spends=lambda policy, _: policy.estimated_cost_margin is not None,
    ),
    # What a release costs shows slowest of all, so it gets the most.
    Guardrail(name="cost", stages=ALL, judge=_labelled_cost, share=4, required=lambda t: t.stage is WATCH),
    Guardrail(
        name="fairness",
        stages=ALL,
        judge=_fairness,
        share=1,
        required=lambda _: False,
        spends=lambda _, groups: groups.judges and bool(groups.columns),
    ),
)
"""Every guardrail of a rollout, and those of an experiment. A new one is an entry here and its judging function."""


def level(guardrail: Guardrail, policy: RolloutPolicy, groups: FairnessPolicy) -> float:
    """The chance of a false alarm that a guardrail may spend in one stage, so that a whole rollout spends `policy.alpha` at most.

    What the test of the split spends by itself (`srm_alpha` in each step) comes off first; the rest is divided by the shares of
    those that can fail, and of those that begin anew among their stages (a union bound: Bonferroni, as Dunn 1961, Multiple
    comparisons among means).
    """
    spending = sum(one.share for one in GUARDRAILS if one.spends(policy, groups))
    rest = policy.alpha - policy.srm_alpha * sum(weight < 1 for weight in policy.steps)
    return max(rest, 0.0) * guardrail.share / spending / guardrail.looks(policy)


def experiment_level(guardrail: Guardrail, policy: RolloutPolicy) -> float:
    """The same in an experiment, which has one stage."""
    return policy.alpha * guardrail.share / sum(one.share for one in GUARDRAILS if EXPERIMENT in one.stages)
