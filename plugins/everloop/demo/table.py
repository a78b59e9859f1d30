"""The demo's account in a terminal of 80 columns: two tables, and a line a decision."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

REASON_WIDTH = 160
PASSING = ("advanced", "retrain_wanted")
"""Actions that say nothing of what became of a release."""


def print_account(console: Console, report: Mapping[str, Any]) -> None:
    """Releases and comparisons, then every decision in its order."""
    console.print(_releases(report["releases"]))
    console.print(_comparisons(report["comparisons"]))
    console.print("\n[bold]Decisions (in full: `everloop why flights <release>`)[/bold]")
    for row in report["decisions"]:
        reason = textwrap.shorten(row["reason"], REASON_WIDTH, placeholder=" ...")
        line = f"{row['at'][11:19]}  {row['action'].replace('_', ' ')}: {row['subject']} by {row['actor']} - {reason}"
        console.print(line, markup=False, soft_wrap=True)


def _releases(releases: list[dict[str, Any]]) -> Table:
    table = _table(
        "Releases (* of a fire drill)",
        "release",
        "learnt\nthrough",
        "gate's\nAUC",
        "\nserved",
        "AUC of what\nit served",
        "became",
    )
    for row in releases:
        gate, lived = row["auc_at_the_gate"], _estimate(row["auc_on_what_it_served"])
        table.add_row(row["release"], row["trained_through"][:10], _number(gate), f"{row['served']:,}", lived, _became(row))
    return table


def _became(row: Mapping[str, Any]) -> str:
    last = next((action for action in reversed(row["history"]) if action not in PASSING), "-").replace("_", " ")
    return f"{last} *" if row["drill"] else last


def _comparisons(comparisons: list[dict[str, Any]]) -> Table:
    table = _table("New champion against old, on the same flights", "new", "old", "flights", "AUC new", "AUC old", "difference")
    for row in comparisons:
        new, old = (_number(row[which]["value"] if row[which] else None) for which in ("auc_new", "auc_old"))
        table.add_row(row["new"], row["old"], f"{row['labelled_rows']:,}", new, old, _estimate(row["auc_difference"]))
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=f"\n{title}", title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, no_wrap=True)
    return table


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _estimate(value: Mapping[str, float] | None) -> str:
    """A value and half the width of its interval."""
    return "-" if value is None else f"{value['value']:.3f} ±{(value['high'] - value['low']) / 2:.3f}"
