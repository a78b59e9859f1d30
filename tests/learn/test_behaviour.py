"""A model that was really trained, and one that misbehaves on purpose."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pytest

from everloop.decide.policy import BehaviourPolicy, CostMatrix, Direction, Invariance
from everloop.decide.statistics.clusters import Clusters
from everloop.errors import ConfigurationError
from everloop.learn.behaviour import Trial, behave, spread
from everloop.learn.encode import Encoder
from everloop.learn.job import Job, ask, give
from everloop.learn.perturb import extents
from everloop.learn.scoring import Model
from everloop.learn.train import train

RISES = Direction(column="v__x", step=1.0, tolerance=0.02, share=0.05)
NOISE = Invariance(column="v__noise", tolerance=0.2, share=0.05)


@pytest.fixture(scope="module")
def trial(examples: pa.Table, job: Job, tmp_path_factory: pytest.TempPathFactory) -> Trial:
    folder = tmp_path_factory.mktemp("behaviour")
    give(folder, examples.to_batches())
    ask(folder, job)
    content, trained = train(folder)
    model = Model(content, Encoder(trained.columns, trained.categories), trained.calibrator)
    held_out = examples.filter(np.array(examples["part"].to_pylist()) == "holdout")
    return Trial(
        model=model,
        rows=held_out,
        labels=held_out["label"].to_numpy(zero_copy_only=False),
        blocks=np.arange(held_out.num_rows) // 10,
        threshold=0.4,
        cost=CostMatrix(),
        of=extents(examples, model.encoder),
        confidence=0.95,
        seed=7,
    )


@dataclass
class Broken:
    """A model that takes what the real one takes and makes of it whatever `make` says."""

    encoder: Encoder
    make: object

    def score(self, matrix):
        return self.make(matrix)


def test_a_sound_model_keeps_what_domain_knowledge_demands(trial: Trial) -> None:
    found = behave(trial, BehaviourPolicy(tests=(RISES, NOISE)), ["v"])
    assert found.tests[RISES.name].broken.rate <= 0.05
    assert found.tests[NOISE.name].broken.rate <= 0.05
    assert found.boundaries.broken == ()
    assert found.noise.changed.rate < 0.1


def test_rows_without_a_value_to_move_do_not_count(trial: Trial) -> None:
    assert trial.tested(RISES).broken.trials == len(trial.labels) - trial.rows["v__x"].null_count
    assert trial.tested(NOISE).broken.trials == len(trial.labels)


def test_what_was_tried_is_counted_by_block_of_time(trial: Trial) -> None:
    found = behave(trial, BehaviourPolicy(tests=(NOISE,)), ["v"])
    assert (found.tests[NOISE.name].broken.units, found.noise.changed.units) == (40, 40)
    assert found.noise.changed.trials_squared == 40 * 10**2
    assert found.absent["v"].cost is not None
    assert found.absent["v"].cost.units == 40


def test_the_opposite_direction_is_broken_by_most_rows(trial: Trial) -> None:
    found = trial.tested(replace(RISES, rises=False))
    assert found.broken.rate > 0.5
    assert found.worst > 0.2


def test_what_the_model_lives_on_is_not_invariant(trial: Trial) -> None:
    found = trial.tested(Invariance(column="v__x", tolerance=0.2, share=0.05))
    assert found.broken.rate > 0.3


def test_a_lost_view_costs_what_it_was_worth(trial: Trial) -> None:
    found = behave(trial, BehaviourPolicy(), ["v"])
    assert set(found.absent) == {"v", "every view"}
    lost = found.absent["v"]
    assert lost == found.absent["every view"]
    assert lost.cost is not None
    assert lost.undisturbed is not None
    assert lost.cost.low > 0.1 * lost.undisturbed


def test_a_score_that_is_no_probability_is_named(trial: Trial) -> None:
    def wild(matrix):
        return np.where(matrix[:, 1] > 1e20, 1.5, np.where(np.isnan(matrix).all(axis=1), np.nan, 0.5))

    found = replace(trial, model=Broken(trial.model.encoder, wild)).boundaries()
    assert found.broken == ("nothing known", "v__x = 1e+30", "v__x = 1e+30, nothing else known")


def test_no_row_tries_nothing(trial: Trial) -> None:
    nobody = replace(trial, rows=trial.rows.slice(0, 0), labels=trial.labels[:0], blocks=trial.blocks[:0])
    found = behave(nobody, BehaviourPolicy(tests=(RISES,)), ["v"])
    assert (found.boundaries.rows, found.tests[RISES.name].broken, found.noise.changed) == (0, Clusters(), Clusters())
    assert found.noise.cost is None


def test_a_column_that_is_no_input_is_refused_with_the_inputs(trial: Trial) -> None:
    with pytest.raises(ConfigurationError, match=r"tests names age, which the model does not take: its inputs are carrier, v__x"):
        behave(trial, BehaviourPolicy(tests=(replace(RISES, column="age"),)), [])
    with pytest.raises(
        ConfigurationError, match=r"absent_cost names w, which the model does not take: its views are v, every view"
    ):
        behave(trial, BehaviourPolicy(absent_cost={"w": 0.1, "every view": 0.2}), ["v"])


def test_rows_are_taken_evenly_up_to_a_number() -> None:
    assert spread(400, 5).tolist() == [0, 99, 199, 299, 399]
    assert spread(3, 10_000).tolist() == [0, 1, 2]
    assert spread(0, 5).tolist() == []
