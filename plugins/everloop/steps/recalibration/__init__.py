"""From ripened labels to a judged release with the booster that serves: look, register, gate."""

from everloop.steps.recalibration.plan import look
from everloop.steps.recalibration.registration import register
from everloop.steps.recalibration.verdict import gate

__all__ = ["gate", "look", "register"]
