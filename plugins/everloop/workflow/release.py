"""The last task of a graph that makes a release: its rollout begins in the ledger, and the event says so."""

from __future__ import annotations

import logging
from typing import Any

from everloop.use_case import UseCase
from everloop.wiring import connect
from everloop.workflow import assets, runs
from everloop.workflow.runs import Json

log = logging.getLogger(__name__)


def begin(use_case: UseCase, release_id: str, outlet_events: Any, *, reason: str, **asked: bool) -> Json:
    """What `steps.release.release` did, `asked` being its switches. A refusal is in the ledger, and rings nothing."""
    from everloop.steps import release

    loop = connect(use_case)
    result = release.release(
        loop.ledger, loop.registry, use_case, release_id, actor=runs.actor(), reason=reason, now=runs.now(), **asked
    )
    log.info("Release: %s", result)
    if result["released"]:
        released = assets.released(use_case)
        outlet_events[assets.sometimes(released)].add(released, extra={"backfill": False, "release": release_id})
    return result
