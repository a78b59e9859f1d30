"""Served rows as an arm's evidence: each row's entity, errors, missing views, and each request's latency once."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from everloop.decide.release.evidence.arms import LATENCY_EDGES, Arm, ByUnit
from everloop.decide.release.evidence.columns import Codes, Floats, Mask, Rows, codes, failed, floats, present
from everloop.decide.statistics.clusters import Clusters
from everloop.flags import incomplete, lacking

SLOW = 0.99
"""The share of the requests of both arms that is not slow: what is slow has to move together for entities to matter to the
p99."""


@dataclass(frozen=True)
class Served:
    """Rows (n,): the code of their `entity` and `request`, whether they `failed`, and whether the other release `also_failed`.

    A row that one release fails on is asked of the other one. The doubt about a row of which the log does not say whether the
    other one could answer it (the shadow had no time for it, or it was logged by a scorer that did not ask) never helps the
    release on trial: its own error is held against it, that of the other one is not.
    """

    entity: Codes
    request: Codes
    failed: Mask
    also_failed: Mask
    latency: Floats
    flags: tuple[Collection[str], ...]

    @classmethod
    def of(cls, rows: Rows, ours: Mask, waiting: Mask | None = None) -> Served:
        """From columns `entity`, `request_id`, `error`, `shadow_release`, `shadow_score`, `latency_ms` and `flags`.

        `ours`: the rows of the release on trial; `waiting`: those so new that the other release may not have been asked yet: an
        error among them is left out until it is known.
        """
        errors, asked = failed(rows), present(rows["shadow_release"])
        unknown = ~ours if waiting is None else ~ours | waiting
        return cls(
            entity=codes(rows["entity"]),
            request=codes(rows["request_id"]),
            failed=errors,
            also_failed=errors & np.where(asked, np.isnan(floats(rows["shadow_score"])), unknown),
            latency=floats(rows["latency_ms"]),
            flags=tuple(rows["flags"]),
        )

    def slow(self, mask: Mask) -> float:
        """The latency (ms) that a share of `SLOW` of these rows stay under; NaN without a timed row."""
        timed = self.latency[mask & np.isfinite(self.latency)]
        return float(np.quantile(timed, SLOW)) if len(timed) else np.nan

    def arm(self, mask: Mask, views: Collection[str] | None, slow: float, batch: Codes | None = None) -> Arm:
        """What these rows show.

        `views`: those whose absence counts, `None` for all; `slow`: from which latency a request is; `batch`: the batch of time
        of each row, where time matters.
        """
        comparable, missing, first = mask & ~self.also_failed, self._missing(mask, views), self._requests(mask)
        own = self.failed[comparable]

        def by(units: Codes) -> ByUnit:
            return ByUnit(
                errors=Clusters.counted(units[comparable], own),
                missing=Clusters.counted(units[mask], missing),
                slow=Clusters.counted(units[first], self.latency[first] > slow),
            )

        buckets = np.searchsorted(LATENCY_EDGES, self.latency[first])
        return Arm(
            requests=int(mask.sum()),
            errors=int(own.sum()),
            incomplete=int(missing.sum()),
            latency=tuple(np.bincount(buckets, minlength=len(LATENCY_EDGES) + 1).tolist()),
            shared_errors=int(self.also_failed[mask].sum()),
            by_entity=by(self.entity),
            by_batch=ByUnit() if batch is None else by(batch),
        )

    def _missing(self, mask: Mask, views: Collection[str] | None) -> Mask:
        if views is not None and not views:
            return np.zeros(int(mask.sum()), dtype=bool)

        def counts(flags: Collection[str]) -> bool:
            return bool(flags is not None and len(flags)) and (
                incomplete(flags) if views is None else not lacking(flags).isdisjoint(views)
            )

        return np.array([counts(self.flags[row]) for row in np.flatnonzero(mask)], dtype=bool)

    def _requests(self, mask: Mask) -> Codes:
        """The first timed row of each request: rows of one request share its latency."""
        timed = np.flatnonzero(mask & np.isfinite(self.latency))
        return timed[np.unique(self.request[timed], return_index=True)[1]]
