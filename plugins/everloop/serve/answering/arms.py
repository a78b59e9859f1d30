"""Which release answers a row, and whether the other one is scored in its shadow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import xxhash

from everloop.decide.release.state import ReleaseState, Stage

CHAMPION = "champion"
CHALLENGER = "challenger"

_IN_SHADOW = frozenset({Stage.SHADOW, Stage.CANARY, Stage.WATCH, Stage.PAUSED, Stage.EXPERIMENT})


@dataclass(frozen=True, slots=True)
class Assignment:
    """`arm` answers; with `shadow` the other release on trial scores the row too."""

    arm: str
    shadow: bool


_ALONE = Assignment(CHAMPION, False)


def paired(state: ReleaseState) -> bool:
    """Whether two releases score: not in CHECK, where the challenger has not yet shown that it loads and answers."""
    return state.rollout is not None and state.stage in _IN_SHADOW


def bucket(salt: str, entity: str) -> float:
    """A uniform number in [0, 1) that depends on both: the same entity stays where it is while the salt stays.

    XXH3 keeps buckets of different salts independent; CRC-32 does not.
    """
    return float(xxhash.xxh3_64_intdigest(f"{salt}\0{entity}".encode()) / 2.0**64)


def assign(state: ReleaseState, entity: str, key: str, shadow_share: float) -> Assignment:
    """The arm of an entity (sticky within a rollout or experiment) and whether this key is in the shadow sample."""
    if state.rollout is None or not paired(state):
        return _ALONE
    on_trial = state.challenger is not None and state.stage is not Stage.SHADOW
    arm = CHALLENGER if on_trial and bucket(state.rollout, entity) < state.weight else CHAMPION
    return Assignment(arm, bucket(f"{state.rollout}/shadow", key) < shadow_share)


def assigned(state: ReleaseState, entities: Sequence[str], keys: Sequence[str], shadow_share: float) -> list[Assignment]:
    """`assign` for every row."""
    if not paired(state):
        return [_ALONE] * len(keys)
    return [assign(state, entity, key, shadow_share) for entity, key in zip(entities, keys, strict=True)]
