"""The labelled rows of the booster that serves, as its releases have scored them and as it would have when it was trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from everloop.decide.policy import RecalibrationPolicy
from everloop.interval import Interval
from everloop.learn.recalibrate import Labelled, translated
from everloop.ports import Registry, TrafficLog
from everloop.release import MODEL, Bundle
from everloop.use_case import UseCase

if TYPE_CHECKING:
    import numpy.typing as npt

ANSWER, SHADOW = ("release", "score"), ("shadow_release", "shadow_score")
COLUMNS = (*ANSWER, *SHADOW, "label", "known_at", "as_of")


@dataclass(frozen=True)
class BoosterRows:
    """What the releases of one booster have scored and labels are known of.

    `trained`: the release that the booster was trained as; `rows` has what its calibrator makes of them. `served` (n,): what they
    were given, in an answer or in the shadow of one.
    """

    trained: Bundle
    serving: Bundle
    rows: Labelled
    served: npt.NDArray[np.float64]


def gather(
    traffic: TrafficLog, registry: Registry, use_case: UseCase, champion: str, policy: RecalibrationPolicy, at: datetime
) -> BoosterRows:
    """The rows of the policy's window before `at` (data time) that have a label by then, each once: an answer before a shadow."""
    serving = registry.get(champion)
    trained = registry.get(serving.manifest.recalibrates or champion)
    found = traffic.served(use_case.name, Interval(at - policy.window, at), COLUMNS)
    known = pc.and_(pc.is_valid(found["label"]), pc.less(found["known_at"], pa.scalar(at)))
    found = found.filter(pc.fill_null(known, False))
    members = _members(found, trained, registry)
    answered, shadowed = (_by(found, members, *names) for names in (ANSWER, SHADOW))
    parts = [
        _scored(found.filter(answered), members, trained, *ANSWER),
        _scored(found.filter(pc.and_not(shadowed, answered)), members, trained, *SHADOW),
    ]
    rows, served = zip(*parts, strict=True)
    return BoosterRows(trained, serving, _joined(rows), np.concatenate(served))


def _members(rows: pa.Table, trained: Bundle, registry: Registry) -> dict[str, Bundle]:
    """The releases among those that scored `rows` whose booster is that of `trained`."""
    names = {name for column in ("release", "shadow_release") for name in rows[column].unique().to_pylist() if name}
    bundles = {name: registry.get(name) for name in sorted(names)}
    booster = trained.manifest.files[MODEL]
    return {name: bundle for name, bundle in bundles.items() if bundle.manifest.files[MODEL] == booster}


def _by(rows: pa.Table, members: Mapping[str, Bundle], release: str, score: str) -> pa.ChunkedArray:
    """Which rows a member scored in these columns."""
    wanted = pc.and_(pc.is_in(rows[release], value_set=pa.array(list(members), pa.string())), pc.is_valid(rows[score]))
    return pc.fill_null(wanted, False)


def _scored(
    rows: pa.Table, members: Mapping[str, Bundle], trained: Bundle, release: str, score: str
) -> tuple[Labelled, npt.NDArray[np.float64]]:
    """Rows that members scored in these columns: as `trained` would have scored them, and as they were scored."""
    given = rows[score].to_numpy().astype(np.float64)
    by, base = rows[release].to_numpy(), np.empty(len(given))
    for name, bundle in members.items():
        mine = by == name
        base[mine] = translated(given[mine], bundle.manifest.calibrator, trained.manifest.calibrator)
    labels = rows["label"].to_numpy().astype(bool)
    return Labelled(base, labels, _moments(rows, "as_of"), _moments(rows, "known_at")), given


def _joined(parts: tuple[Labelled, ...]) -> Labelled:
    return Labelled(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("scores", "labels", "asked", "known")))


def _moments(rows: pa.Table, name: str) -> npt.NDArray[np.datetime64]:
    found: npt.NDArray[np.datetime64] = rows[name].cast(pa.timestamp("us", "UTC")).to_numpy()
    return found
