"""How the contract of a table has changed since its rows in the lake were written, and which changes may be taken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from everloop.errors import ContractError
from everloop.kinds import ARROW_TYPES

if TYPE_CHECKING:
    from everloop.use_case import SourceTable


@dataclass(frozen=True, kw_only=True)
class Evolution:
    """Columns of the contract that the lake lacks; those that it has with another type (lake's, contract's); those left out."""

    new: tuple[str, ...] = ()
    changed: Mapping[str, tuple[str, str]]
    lost: tuple[str, ...] = ()


def evolution(columns: Mapping[str, str], standing: pa.Schema) -> Evolution:
    """The contract `columns` held against the columns that the table has in the lake."""
    words = {kind: word for word, kind in ARROW_TYPES.items()}
    known = {field.name: words.get(field.type, str(field.type)) for field in standing}
    return Evolution(
        new=tuple(name for name in columns if name not in known),
        changed={name: (known[name], kind) for name, kind in columns.items() if known.get(name, kind) != kind},
        lost=tuple(name for name in known if name not in columns),
    )


def taken(table: SourceTable, standing: pa.Schema | None) -> list[str]:
    """What to tell of the change: new columns, null in earlier rows. `ContractError` lists types that changed and lost columns.

    These are refused since what was learnt from the earlier rows would be fed other values, or none, without anybody seeing it.
    """
    if standing is None:
        return []
    change = evolution(table.columns, standing)
    differences = [
        f'column "{name}" is {was} in the lake and {now} in the contract' for name, (was, now) in change.changed.items()
    ]
    differences += [f'column "{name}" is in the lake and no longer in the contract' for name in change.lost]
    if differences:
        raise ContractError(
            f'The contract of table "{table.name}" has changed in a way that its rows in the lake cannot follow:\n'
            + "\n".join(f"  - {difference}" for difference in differences)
            + "\nNothing was read. Give the changed column a new name beside the old one, or the table a new name: "
            f"SourceTable(name={table.name!r})"
        )
    return [f'column "{name}" ({table.columns[name]}) is new: it is null in the rows of earlier intervals' for name in change.new]


def filled(rows: pa.Table, table: SourceTable) -> pa.Table:
    """`rows` from the lake with every column of the contract: one that is newer than they are is null."""
    for name, kind in table.columns.items():
        if name not in rows.column_names:
            rows = rows.append_column(name, pa.nulls(rows.num_rows, ARROW_TYPES[kind]))
    return rows
