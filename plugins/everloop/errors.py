"""Every error that everloop raises on purpose.

EverloopError
├── ConfigurationError    a use case, a setting or a suite breaks a rule
├── SourceError           a system that we read from gave no, or unusable, data
│   └── ContractError     its columns or types are not the agreed ones
├── DataError             rows break a rule that blocks the whole interval
├── TrainingError         a training process ended without a usable model
├── ReleaseError          a release is absent, incomplete or not the bytes it claims to be
├── LedgerConflict        somebody else decided first: read again, decide again
└── StackError            a part of the local stack does not start or answer
"""

from __future__ import annotations


class EverloopError(Exception):
    """Says what is wrong, with which value, by which rule, and what to do next."""


class ConfigurationError(EverloopError):
    """A use case, a setting or a suite breaks a rule. All problems are reported together."""


class SourceError(EverloopError):
    """A system that we read from gave no, or unusable, data."""


class ContractError(SourceError):
    """A source's columns or types are not the agreed ones."""


class DataError(EverloopError):
    """Rows break a rule that blocks the whole interval."""


class TrainingError(EverloopError):
    """A training process ended without a usable model."""


class ReleaseError(EverloopError):
    """A release is absent, incomplete or not the bytes it claims to be."""


class LedgerConflict(EverloopError):  # noqa: N818, a conflict is no error: the loser decides again
    """Somebody else decided first. Read the ledger again, then decide again."""


class StackError(EverloopError):
    """A part of the local stack does not start or answer."""
