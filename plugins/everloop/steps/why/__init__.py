"""Why a release serves, or does not: the whole chain of evidence behind it, from the ledger alone."""

from everloop.steps.why.story import Story, story, to_json
from everloop.steps.why.words import lines, when

__all__ = ["Story", "lines", "story", "to_json", "when"]
