"""Where models are fitted, kept and tried."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from everloop.decide.release.state import ReleaseState
from everloop.release import Bundle

if TYPE_CHECKING:
    from everloop.learn.encode import Encoder
    from everloop.learn.fit import Fitted, Length, Settings


@dataclass(frozen=True, kw_only=True)
class ModelVersion:
    """A registered model version: its number as the registry shows it, and the run it came from."""

    version: str
    run_id: str
    url: str


class Registry(Protocol):
    """Where people review models, and the bytes of all releases."""

    def record(self, bundle: Bundle, report: Mapping[str, Any], plots: Mapping[str, bytes], card: str) -> ModelVersion:
        """Log run and model version of a release (idempotent by release id), with parameters, metrics, plots and model card."""

    def put(self, bundle: Bundle) -> str:
        """Store a release's bytes under its id, once and for ever; returns the id."""

    def get(self, release: str) -> Bundle:
        """A release's bytes, verified; `ReleaseError` when absent or changed."""

    def mirror(self, use_case: str, state: ReleaseState) -> None:
        """Make the aliases `champion` and `challenger` say what the ledger says."""

    def annotate(self, release: str, use_case: str, tags: Mapping[str, str]) -> None:
        """Tag a release's model version, for instance with the gate's verdict."""


class Cluster(Protocol):
    """Several machines that fit one model together."""

    def fit(self, staged: str, encoder: Encoder, settings: Settings, length: Length, *, workers: int) -> Fitted:
        """Fit on the rows of parts `fit` and `validation` that the lake staged under this name, as `learn.fit.fit` would.

        The trees come of all the rows. Where rows are sampled each worker draws its own, so the model is an equal one, not the
        same. `TrainingError` when fewer than `workers` can be had at once, or one of them fails.
        """


class Scorer(Protocol):
    """The running scoring service, as the loop sees it."""

    def check(self, use_case: str, release: str, rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
        """Load `release` in the real scorer beside the serving one and score `rows`: `{"scores": [...], "latency_ms": ...}`.

        Raises `ReleaseError` with the scorer's own words when it does not load or answer, `SourceError` when nobody could be
        asked, which says nothing of the release.
        """
