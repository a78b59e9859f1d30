"""One small Protocol per outside system, and the plain values that cross it.

`pa.Table` is the currency of rows that fit into memory, `Batches` of those that may not. Every Protocol has an in-memory fake in
tests/fakes that passes the contract tests of the real adapter.
"""

from everloop.ports.data import (
    Account,
    Accounts,
    Batches,
    Checks,
    Destination,
    Failure,
    Features,
    Lake,
    Outbox,
    Source,
    Validation,
)
from everloop.ports.models import Cluster, ModelVersion, Registry, Scorer
from everloop.ports.records import AnsweredDays, Decision, Entry, Ledger, Measurement, Measurements, TrafficLog

__all__ = [
    "Account",
    "Accounts",
    "AnsweredDays",
    "Batches",
    "Checks",
    "Cluster",
    "Decision",
    "Destination",
    "Entry",
    "Failure",
    "Features",
    "Lake",
    "Ledger",
    "Measurement",
    "Measurements",
    "ModelVersion",
    "Outbox",
    "Registry",
    "Scorer",
    "Source",
    "TrafficLog",
    "Validation",
]
