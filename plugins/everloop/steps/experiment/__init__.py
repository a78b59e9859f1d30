"""Experiments: size them, start them, look at them, end them, and tell what they showed."""

from everloop.steps.experiment.plans import parse, running, text
from everloop.steps.experiment.report import as_json, document, lines, page
from everloop.steps.experiment.sizing import releases, size
from everloop.steps.experiment.starting import start, stop
from everloop.steps.experiment.watching import Standing, latest, look, read_again

__all__ = [
    "Standing",
    "as_json",
    "document",
    "latest",
    "lines",
    "look",
    "page",
    "parse",
    "read_again",
    "releases",
    "running",
    "size",
    "start",
    "stop",
    "text",
]
