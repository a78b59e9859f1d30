"""The demo's account as tables in a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

REASON_WIDTH = 160
NARROW = ("release", "new", "old", "at", "decision", "about", "flights", "served")


def print_account(console: Console, report: Mapping[str, Any]) -> None:
    """Releases, comparisons and decisions, one table each."""
    console.print(_releases(report["releases"]))
    console.print(_comparisons(report["comparisons"]))
    console.print(_decisions(report["decisions"]))


def _releases(releases: list[dict[str, Any]]) -> Table:
    table = _table("Releases", "release", "learnt through", "served", "AUC at the gate", "AUC on what it served", "history")
    for row in releases:
        name = f"{row['release']} (drill)" if row["drill"] else row["release"]
        history = ", ".join(action.replace("_", " ") for action in dict.fromkeys(row["history"]))
        gate = _number(row["auc_at_the_gate"])
        table.add_row(
            name, row["trained_through"][:10], f"{row['served']:,}", gate, _estimate(row["auc_on_what_it_served"]), history
        )
    return table


def _comparisons(comparisons: list[dict[str, Any]]) -> Table:
    table = _table("New champion against old, on the same flights", "new", "old", "flights", "AUC new", "AUC old", "difference")
    for row in comparisons:
        table.add_row(
            row["new"],
            row["old"],
            f"{row['labelled_rows']:,}",
            _estimate(row["auc_new"]),
            _estimate(row["auc_old"]),
            _estimate(row["auc_difference"]),
        )
    return table


def _decisions(decisions: list[dict[str, Any]]) -> Table:
    table = _table("Decisions (in full: `everloop why flights <release>`)", "at", "decision", "about", "by", "because")
    for row in decisions:
        reason = textwrap.shorten(row["reason"], REASON_WIDTH, placeholder=" ...")
        table.add_row(row["at"][11:19], row["action"].replace("_", " "), row["subject"], row["actor"], reason)
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column in NARROW)
    return table


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _estimate(value: Mapping[str, float] | None) -> str:
    return "-" if value is None else f"{value['value']:.3f} [{value['low']:.3f}, {value['high']:.3f}]"
