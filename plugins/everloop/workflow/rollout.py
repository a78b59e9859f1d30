"""The graph `<use case>_rollout`: a challenger meets traffic, stage by stage."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, PokeReturnValue

from everloop.decide.policy import RolloutPolicy
from everloop.decide.release.state import ReleaseState, Stage
from everloop.use_case import UseCase
from everloop.wiring import connect
from everloop.workflow import assets, runs
from everloop.workflow.attempts import OUTSIDE
from everloop.workflow.pages import page
from everloop.workflow.runs import Json
from everloop.workflow.tasks import task

log = logging.getLogger(__name__)

PAGE = """
- **check**: the release loads and answers in the real scorer, beside the serving one.
- **shadow**: both score the same requests; users get the champion's answer.
- **canary**: a growing share of entities gets the challenger's answer. Failing sends all traffic back at once.
- **watch**: promoted; the previous release is scored in its shadow until labels ripen, and may still come back.
- **conclude**: what came of it.

The ledger holds the state, so this run may be killed and started again: it goes on where the rollout stands, and two runs
cannot both decide. A paused rollout waits for a person: resume or abort it on the loop's page. While an experiment is under way
**check** waits for its end.
"""

_ORDER = (Stage.CHECK, Stage.SHADOW, Stage.CANARY, Stage.WATCH)
_RESCHEDULE_FROM = timedelta(seconds=60)
_LONG_STAGE = timedelta(hours=1)
_GIVE_UP = timedelta(days=90)


@dataclass(frozen=True)
class RolloutTasks:
    """What the tasks do: each stage looks, decides and waits until the rollout has left it."""

    use_case: UseCase

    def check(self) -> Any:
        """Wait until the release has passed the load check."""
        return self.poke(Stage.CHECK, None)

    def shadow(self, rollout: str | None) -> Any:
        """Wait until both arms have scored enough of the same requests."""
        return self.poke(Stage.SHADOW, rollout)

    def canary(self, rollout: str | None) -> Any:
        """Wait until every step is done, or the challenger is sent back."""
        return self.poke(Stage.CANARY, rollout)

    def watch(self, rollout: str | None) -> Any:
        """Wait until enough labels are ripe, or the previous release is back."""
        return self.poke(Stage.WATCH, rollout)

    def conclude(self, rollout: str | None) -> Json:
        """The rollout's last row in the ledger, and who serves."""
        ledger = connect(self.use_case).ledger
        _, state = ledger.head(self.use_case.name)
        rows = [e for e in ledger.entries(self.use_case.name) if rollout and rollout in (e.before.rollout, e.after.rollout)]
        last = rows[-1] if rows else None
        return {
            "rollout": rollout,
            "champion": state.champion,
            "action": last.action if last else None,
            "reason": last.reason if last else "no rollout was under way",
        }

    def poke(self, stage: Stage, rollout: str | None) -> PokeReturnValue:
        """One look at `stage`: decide when the rollout is in it, and say whether it has left."""
        from everloop.steps import rollout as steps

        loop = connect(self.use_case)
        _, state = loop.ledger.head(self.use_case.name)
        followed = rollout or state.rollout
        if not left(stage, followed, state):
            result = steps.step(
                loop.ledger,
                loop.traffic,
                loop.registry,
                loop.scorer,
                loop.lake,
                loop.measurements,
                self.use_case,
                now=runs.now(),
            )
            log.info("%s", result)
            _, state = loop.ledger.head(self.use_case.name)
        return PokeReturnValue(left(stage, followed, state), xcom_value=followed)


def left(stage: Stage, rollout: str | None, state: ReleaseState) -> bool:
    """Whether `rollout` has left `stage`: it is over, another one took its place, or it is in a later stage.

    A paused rollout is still in the stage that the pause interrupted. An experiment is left when it has ended, so that a run
    which finds one waits for what comes after it.
    """
    if state.stage is Stage.EXPERIMENT and state.rollout == rollout:
        return False
    now = state.resume if state.stage is Stage.PAUSED else state.stage
    if rollout is None or state.rollout != rollout or now not in _ORDER:
        return True
    return _ORDER.index(now) > _ORDER.index(stage)


def waiting(policy: RolloutPolicy, stage: Stage) -> dict[str, Any]:
    """How a stage waits: keeping its worker while looks are frequent and few, giving it back between looks otherwise."""
    lasts = policy.watch_time if stage is Stage.WATCH else policy.minimum_time
    poke = policy.poll < _RESCHEDULE_FROM and lasts < _LONG_STAGE
    interval = policy.poll if poke else max(policy.poll, _RESCHEDULE_FROM)
    return {"poke_interval": interval.total_seconds(), "mode": "poke" if poke else "reschedule"}


def graph(use_case: UseCase) -> DAG:
    """`<use case>_rollout`: on the release event; by hand, to go on after a kill."""
    tasks, policy = RolloutTasks(use_case), use_case.rollout
    with DAG(
        dag_id=f"{use_case.name}_rollout",
        description="Check, shadow, canary, watch; promoted or rolled back",
        doc_md=page(use_case, PAGE),
        schedule=[assets.released(use_case)],
        start_date=use_case.start,
        catchup=False,
        max_active_runs=1,
        tags=["everloop", use_case.name],
        # A stage lasts as long as its evidence and its people need: `patience` in the policy, not a timeout, ends a wait.
        default_args={"owner": use_case.owner, **OUTSIDE, "execution_timeout": None, "retries": 20},
    ) as dag:
        sensor = {"timeout": _GIVE_UP.total_seconds()}
        rollout = task.sensor(**sensor, **waiting(policy, Stage.CHECK))(tasks.check)()
        shadow = task.sensor(**sensor, **waiting(policy, Stage.SHADOW))(tasks.shadow)(rollout)
        canary = task.sensor(**sensor, **waiting(policy, Stage.CANARY))(tasks.canary)(rollout)
        watch = task.sensor(**sensor, **waiting(policy, Stage.WATCH))(tasks.watch)(rollout)
        rollout >> shadow >> canary >> watch >> task(tasks.conclude)(rollout)
    return dag
