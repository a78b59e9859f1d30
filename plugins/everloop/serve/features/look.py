"""What a cache knows of the entities that some rows are of."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.adapters.features.stores.judged import Stored

if TYPE_CHECKING:
    from everloop.serve.columns.entities import Places

Key = tuple[Any, ...]
"""The values of an entity's join keys."""


@dataclass(slots=True)
class Look:
    """What is known of some `entities` by their keys: a stored row each.

    `lacking`: the entities to read anew; `unknown`: those of them never read before; `due`: those whose time is over soon.
    `places`: which entity each row is of, where they came by column; `None` where it is one for each row.
    """

    entities: Sequence[Key]
    stored: list[Stored | None]
    lacking: list[int]
    unknown: list[int]
    due: list[int]
    places: Places | None = None

    def rows(self, entities: Sequence[int]) -> list[int]:
        """The rows of some of the entities."""
        if self.places is None or not entities:
            return list(entities)
        found: list[int] = (np.isin(self.places, entities)).nonzero()[0].tolist()
        return found

    def put(self, row: int, stored: Stored | None) -> None:
        """Say what is stored for a row's entity."""
        self.stored[row if self.places is None else self.places[row]] = stored

    def forget(self, rows: Container[int], of: int) -> None:
        """Say that nothing is stored for `rows`, of so many; other rows of their entities keep what they have."""
        places = range(of) if self.places is None else self.places
        self.stored = [None if row in rows else self.stored[place] for row, place in enumerate(places)]
        self.places = None if self.places is None else np.arange(of)
