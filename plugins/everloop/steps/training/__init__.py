"""From published data to a judged release: snapshot, training set, tune, train, evaluate, register, gate."""

from everloop.steps.training.evaluation import evaluate
from everloop.steps.training.examples import training_set
from everloop.steps.training.fitting import train, tune
from everloop.steps.training.judging import gate
from everloop.steps.training.pinning import snapshot
from everloop.steps.training.registration import register
from everloop.steps.training.staging import clear

__all__ = ["clear", "evaluate", "gate", "register", "snapshot", "train", "training_set", "tune"]
