"""The demo's account: what each release was worth on what it served, and every decision with its reason."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from everloop.decide.statistics.compare import auc, auc_difference
from everloop.decide.statistics.estimate import Estimate
from everloop.interval import Interval
from everloop.steps.release import superseded

if TYPE_CHECKING:
    from everloop.ports import Entry
    from everloop.wiring import Loop


SUPERSEDED = "superseded"
"""Another release took its place on trial."""


def account(loop: Loop, until: datetime) -> dict[str, Any]:
    """Releases, comparisons and decisions as JSON-able values, from the ledger and the prediction log alone."""
    name = loop.use_case.name
    served = loop.traffic.served(name, Interval(loop.use_case.start, until))
    entries = loop.ledger.entries(name)
    promoted = [entry for entry in entries if entry.action == "promoted"]
    return {
        "use_case": name,
        "requests": {"rows": served.num_rows, "errors": served.num_rows - served["error"].null_count},
        "releases": [_release(loop, release, served, entries) for release in _releases(entries)],
        "comparisons": [_comparison(entry, served) for entry in promoted if entry.before.champion],
        "decisions": [_decision(entry) for entry in entries],
    }


def _releases(entries: list[Entry]) -> list[str]:
    """Every release that was judged, in order of appearance."""
    judged = (entry.subject for entry in entries if entry.action in ("gate_passed", "gate_failed"))
    return list(dict.fromkeys(judged))


def _release(loop: Loop, release: str, served: pa.Table, entries: list[Entry]) -> dict[str, Any]:
    """One release: what it learnt from, what it served, how well, and how it ended."""
    manifest = loop.registry.get(release).manifest
    own = _scored(served.filter(pc.equal(served["release"], release)))
    return {
        "release": release,
        "trained_through": manifest.trained_through.isoformat(),
        "drill": manifest.lineage.get("drill") == "true",
        "auc_at_the_gate": manifest.metrics.get("auc"),
        "served": own.num_rows,
        "served_from": _first(own),
        "served_until": _last(own),
        "auc_on_what_it_served": _estimate(auc(*_labelled(own, "score"))),
        "history": _history(release, entries),
    }


def _history(release: str, entries: list[Entry]) -> list[str]:
    """What happened to a release, oldest first, in the ledger's words; and that another one took its place."""
    told = ((superseded(entry) == release, entry) for entry in entries)
    return [SUPERSEDED if over else entry.action for over, entry in told if over or entry.subject == release]


def _comparison(promotion: Entry, served: pa.Table) -> dict[str, Any]:
    """The new champion against the old one, on the same labelled rows, while the new one served and the old one shadowed it."""
    new, old = promotion.after.champion, promotion.before.champion
    both = _scored(served.filter(pc.and_(pc.equal(served["release"], new), pc.equal(served["shadow_release"], old))))
    both = both.filter(pc.is_valid(both["shadow_score"]))
    labels, scores = _labelled(both, "score")
    _, shadows = _labelled(both, "shadow_score")
    return {
        "new": new,
        "old": old,
        "from": _first(both),
        "until": _last(both),
        "labelled_rows": len(labels),
        "auc_new": _estimate(auc(labels, scores)),
        "auc_old": _estimate(auc(labels, shadows)),
        "auc_difference": _estimate(auc_difference(labels, scores, shadows)),
    }


def _scored(rows: pa.Table) -> pa.Table:
    return rows.filter(pc.is_valid(rows["score"]))


def _labelled(rows: pa.Table, column: str) -> tuple[Any, Any]:
    known = rows.filter(pc.is_valid(rows["label"]))
    labels = np.asarray(known["label"].combine_chunks().to_numpy(zero_copy_only=False), dtype=bool)
    return labels, np.asarray(known[column].to_numpy(), dtype=float)


def _first(rows: pa.Table) -> str | None:
    return pc.min(rows["as_of"]).as_py().isoformat() if rows.num_rows else None


def _last(rows: pa.Table) -> str | None:
    return pc.max(rows["as_of"]).as_py().isoformat() if rows.num_rows else None


def _estimate(value: Estimate | None) -> dict[str, Any] | None:
    return asdict(value) if value else None


def _decision(entry: Entry) -> dict[str, Any]:
    return {
        "seq": entry.seq,
        "at": entry.at.isoformat(),
        "actor": entry.actor,
        "action": entry.action,
        "subject": entry.subject,
        "reason": entry.reason,
    }
