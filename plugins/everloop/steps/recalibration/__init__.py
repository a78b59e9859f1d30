"""From ripened labels to a judged release with the booster that serves: look, register, gate."""

from everloop.steps.recalibration.judging import gate
from everloop.steps.recalibration.looking import look
from everloop.steps.recalibration.registration import register

__all__ = ["gate", "look", "register"]
