from __future__ import annotations

import psycopg
import pytest

from everloop.demo.retries import TOLD_AFTER, AwayError, steady
from everloop.errors import ConfigurationError, SourceError


class Part:
    """A part of the stack that fails so many times before it answers."""

    def __init__(self, error: Exception, times: int) -> None:
        self.error, self.left, self.asked = error, times, 0

    def __call__(self, answer: str) -> str:
        self.asked += 1
        if self.left:
            self.left -= 1
            raise self.error
        return answer


@pytest.mark.parametrize("error", [AwayError("gone"), SourceError("gone"), psycopg.OperationalError("gone")])
def test_what_passes_is_tried_until_it_has(error: Exception) -> None:
    part = Part(error, 3)
    assert steady(pause=0)(part, "here") == "here"
    assert part.asked == 4


def test_what_does_not_pass_is_raised_at_once() -> None:
    part = Part(ConfigurationError("wrong"), 1)
    with pytest.raises(ConfigurationError, match="wrong"):
        steady(pause=0)(part, "here")
    assert part.asked == 1


def test_when_patience_ends_the_last_words_are_told() -> None:
    part = Part(AwayError("gone for good"), 10**9)
    with pytest.raises(AwayError, match="gone for good"):
        steady(patience=0.05, pause=0)(part, "here")
    assert part.asked > 1


def test_a_part_that_stays_away_is_told_of_once_and_one_that_is_back_soon_not() -> None:
    said: list[str] = []
    steady(said.append, pause=0)(Part(AwayError("gone\nin detail"), TOLD_AFTER - 1), "here")
    assert said == []
    steady(said.append, patience=600, pause=0)(Part(AwayError("gone\nin detail"), TOLD_AFTER + 5), "here")
    assert said == ["  Trying again for up to 10 minutes: gone"]
