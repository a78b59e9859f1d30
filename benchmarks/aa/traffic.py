"""The traffic of one rollout: what would happen to each row under either release; and the log of what did happen."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.aa.flown import Codes, Floats, Moments
from everloop.decide.release.evidence import trial
from everloop.decide.release.state import ReleaseState, Stage
from everloop.serve.answering.arms import CHALLENGER, CHAMPION, bucket

OLD, NEW = "old", "new"
START = datetime(2026, 1, 1, tzinfo=UTC)
"""The wall clock's time when a rollout begins."""

Flags = npt.NDArray[np.bool_]
_ERROR = "ValueError: the release could not answer"


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """Rows (n,) in the order of asking, and what either release makes of them: the pairs (2, n) are (new, old).

    `entities`: the name of each code in `entity`. `flags` (n,): tuples. `failing`: rows that a release cannot answer. `drawn`: a
    number in [0, 1) below which the share of the shadow takes the row: keys come once, so a draw is as good as their hash.
    """

    asked: Moments
    known: Moments
    label: Floats
    entity: Codes
    entities: npt.NDArray[np.str_]
    flags: npt.NDArray[np.object_]
    origin: npt.NDArray[np.str_]
    latency: Floats
    scores: Floats
    failing: Flags
    drawn: Floats

    def __len__(self) -> int:
        return len(self.asked)


class Log:
    """What a rollout's log holds: rows come by `serve`, `seen` gives all of them as `TrafficLog.since` does, names as numbers.

    `salt`: the rollout's name, which the hash of arms takes; `speed`: seconds of data time in a second of the wall clock.
    """

    def __init__(self, traffic: Traffic, salt: str, shadow_share: float, threshold: float, speed: float) -> None:
        self.traffic, self.rows = traffic, 0
        self._share, self._threshold, self._speed = shadow_share, threshold, speed
        self._arms = np.array([bucket(salt, name) for name in traffic.entities.tolist()])
        since = (traffic.asked - traffic.asked[0]).astype("timedelta64[us]").astype(np.int64) / speed
        self._columns: dict[str, npt.NDArray[Any]] = {
            "request_id": np.arange(len(traffic)),
            "entity": traffic.entity,
            "at": _moment(START) + since.astype("timedelta64[us]"),
            "as_of": traffic.asked,
            "known_at": traffic.known,
            "flags": traffic.flags,
            "latency_ms": traffic.latency,
            "request.origin": traffic.origin,
        }
        for name in ("arm", "release", "shadow_release", "error"):
            self._columns[name] = np.full(len(traffic), None, dtype=object)
        for name in ("score", "shadow_score", "decision"):
            self._columns[name] = np.full(len(traffic), np.nan)

    def serve(self, state: ReleaseState, until: np.datetime64) -> None:
        """Have the rows asked for before `until` answered by whom `state` says."""
        rows = slice(self.rows, int(np.searchsorted(self.traffic.asked, until)))
        self.rows = rows.stop
        on_trial = state.challenger is not None and state.stage in (Stage.CANARY, Stage.EXPERIMENT)
        ours = on_trial & (self._arms[self.traffic.entity[rows]] < state.weight)
        self._answer(rows, ours, watching=state.stage is Stage.WATCH, paired=trial(state)[1] is not None)

    def _answer(self, rows: slice, ours: Flags, *, watching: bool, paired: bool) -> None:
        """As `serve.answering` does: a row that one release fails on is asked of the other one, of the champion in the
        challenger's place, of the challenger in the shadow.
        """
        new = ours | watching
        (score, other), (failing, both) = (_sides(both[:, rows], new) for both in (self.traffic.scores, self.traffic.failing))
        other = np.where(both, np.nan, other)
        beside = self._shadowed(rows, paired) | paired & failing
        put = self._columns
        put["arm"][rows] = np.where(ours, CHALLENGER, CHAMPION)
        put["release"][rows] = np.where(new, NEW, OLD)
        put["error"][rows] = np.where(failing, _ERROR, None)
        put["score"][rows] = np.where(failing, np.nan, score)
        put["decision"][rows] = np.where(failing, np.nan, score >= self._threshold)
        put["shadow_release"][rows] = np.where(beside, np.where(new, OLD, NEW), None)
        put["shadow_score"][rows] = np.where(beside, other, np.nan)

    def _shadowed(self, rows: slice, paired: bool) -> Flags:
        """The shadow sample."""
        return paired & (self.traffic.drawn[rows] < self._share)

    def seen(self, now: np.datetime64) -> dict[str, npt.NDArray[Any]]:
        """All rows so far, with the labels that are known at `now`, data time."""
        found = {name: column[: self.rows] for name, column in self._columns.items()}
        found["label"] = np.where(found["known_at"] <= now, self.traffic.label[: self.rows], np.nan)
        return found

    def wall(self, now: np.datetime64) -> datetime:
        """The wall clock's time at `now`, data time."""
        passed = (now - self.traffic.asked[0]).astype("timedelta64[us]").astype(int)
        return START + timedelta(microseconds=int(passed / self._speed))


def taken(function: Callable[..., Any], **options: Any) -> dict[str, Any]:
    """Those of `options` that `function` takes: an earlier version of it does not know all of them."""
    return {name: value for name, value in options.items() if name in inspect.signature(function).parameters}


def _sides(pair: npt.NDArray[Any], new: Flags) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """What the answering release makes of each row, and what the other one does."""
    return np.where(new, pair[0], pair[1]), np.where(new, pair[1], pair[0])


def _moment(at: datetime) -> np.datetime64:
    return np.datetime64(at.replace(tzinfo=None), "us")
