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

COLUMNS = ("release", "score", "shadow_release", "shadow_score", "label", "known_at", "as_of")


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
    """The rows of the policy's window before `at` (data time) that have a label by then."""
    serving = registry.get(champion)
    trained = registry.get(serving.manifest.recalibrates or champion)
    found = traffic.served(use_case.name, Interval(at - policy.window, at), COLUMNS)
    found = found.filter(pc.fill_null(pc.and_(pc.is_valid(found["label"]), pc.less(found["known_at"], pa.scalar(at))), False))
    members = _members(found, trained, registry)
    parts = [_scored(found, names, members, trained) for names in (("release", "score"), ("shadow_release", "shadow_score"))]
    rows, served = zip(*parts, strict=True)
    return BoosterRows(trained, serving, _joined(rows), np.concatenate(served))


def _members(rows: pa.Table, trained: Bundle, registry: Registry) -> dict[str, Bundle]:
    """The releases among those that scored `rows` whose booster is that of `trained`."""
    names = pa.chunked_array([*rows["release"].chunks, *rows["shadow_release"].chunks]).drop_null().unique().to_pylist()
    bundles = {name: registry.get(name) for name in names}
    booster = trained.manifest.files[MODEL]
    return {name: bundle for name, bundle in bundles.items() if bundle.manifest.files[MODEL] == booster}


def _scored(
    rows: pa.Table, names: tuple[str, str], members: Mapping[str, Bundle], trained: Bundle
) -> tuple[Labelled, npt.NDArray[np.float64]]:
    """The rows that a member scored in the columns `names` (release, score)."""
    release, score = names
    wanted = pc.and_(pc.is_in(rows[release], value_set=pa.array(list(members), pa.string())), pc.is_valid(rows[score]))
    kept = rows.filter(pc.fill_null(wanted, False))
    given = kept[score].to_numpy().astype(np.float64)
    by, base = kept[release].to_numpy(zero_copy_only=False), np.empty(len(given))
    for name, bundle in members.items():
        mine = by == name
        base[mine] = translated(given[mine], bundle.manifest.calibrator, trained.manifest.calibrator)
    labels = kept["label"].to_numpy(zero_copy_only=False).astype(bool)
    return Labelled(base, labels, _moments(kept, "as_of"), _moments(kept, "known_at")), given


def _joined(parts: tuple[Labelled, ...]) -> Labelled:
    return Labelled(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("scores", "labels", "asked", "known")))


def _moments(rows: pa.Table, name: str) -> npt.NDArray[np.datetime64]:
    found: npt.NDArray[np.datetime64] = rows[name].cast(pa.timestamp("us", "UTC")).to_numpy()
    return found
