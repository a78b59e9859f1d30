"""The rules that a use case may set: plain frozen values, each default with its source.

Nothing heavy is imported here, since every DAG file builds these at parse time. `problems()` returns all broken rules.
"""

from everloop.decide.policy.batch import BatchPolicy
from everloop.decide.policy.behaviour import BehaviourPolicy, Direction, Invariance
from everloop.decide.policy.cost import CostMatrix
from everloop.decide.policy.expected_loss import ExpectedLoss
from everloop.decide.policy.experiment import Covariate, ExperimentPlan, Metric
from everloop.decide.policy.fairness import FairnessPolicy
from everloop.decide.policy.gate import GatePolicy
from everloop.decide.policy.recalibration import RecalibrationPolicy
from everloop.decide.policy.rollout import RolloutPolicy
from everloop.decide.policy.service import ServicePolicy
from everloop.decide.policy.training import Overrides, TrainingPolicy
from everloop.decide.policy.watch import DriftPolicy, ParityPolicy, RetrainPolicy

__all__ = [
    "BatchPolicy",
    "BehaviourPolicy",
    "CostMatrix",
    "Covariate",
    "Direction",
    "DriftPolicy",
    "ExpectedLoss",
    "ExperimentPlan",
    "FairnessPolicy",
    "GatePolicy",
    "Invariance",
    "Metric",
    "Overrides",
    "ParityPolicy",
    "RecalibrationPolicy",
    "RetrainPolicy",
    "RolloutPolicy",
    "ServicePolicy",
    "TrainingPolicy",
]
