"""How often and how long tasks try: every task may run twice, so those that talk to outside systems retry by themselves."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import ExceptionRetryPolicy, RetryAction, RetryRule

from everloop.errors import ConfigurationError, ContractError, DataError, ReleaseError

SETTLED = ExceptionRetryPolicy(
    rules=[
        RetryRule(
            exception=[ConfigurationError, ContractError, DataError, ReleaseError],
            action=RetryAction.FAIL,
            reason="trying again gives the same answer: it takes a person",
        )
    ]
)
"""What another attempt cannot mend fails at once, so that people hear of it at once."""

OUTSIDE: dict[str, Any] = {
    "retries": 4,
    "retry_delay": timedelta(seconds=10),
    "retry_policy": SETTLED,
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(minutes=10),
    "execution_timeout": timedelta(minutes=30),
}
"""A task that reads or writes outside systems: about 2.5 minutes of outage are bridged before anybody is woken."""

LONG: dict[str, Any] = OUTSIDE | {"retries": 2, "execution_timeout": timedelta(hours=12)}
"""A training task: it goes on from its checkpoint when it is killed, so a timeout is there for a hang only."""
