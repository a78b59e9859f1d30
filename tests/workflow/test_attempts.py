"""What is tried again by itself, and what fails at once because only a person can mend it."""

from __future__ import annotations

import pytest
from airflow.sdk import RetryAction

from everloop.errors import (
    ConfigurationError,
    ContractError,
    DataError,
    LedgerConflict,
    ReleaseError,
    SourceError,
    TrainingError,
)
from everloop.workflow.attempts import LONG, OUTSIDE


@pytest.mark.parametrize("error", [ConfigurationError, ContractError, DataError, ReleaseError])
def test_what_only_a_person_can_mend_fails_at_once(error: type[Exception]) -> None:
    for attempts in (OUTSIDE, LONG):
        assert attempts["retry_policy"].evaluate(error("why"), 1, 4).action is RetryAction.FAIL


@pytest.mark.parametrize("error", [SourceError, TrainingError, LedgerConflict, OSError, TimeoutError])
def test_what_may_pass_is_tried_again(error: type[Exception]) -> None:
    assert OUTSIDE["retry_policy"].evaluate(error("why"), 1, 4).action is RetryAction.DEFAULT
