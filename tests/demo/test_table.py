from __future__ import annotations

import io
from typing import Any

from rich.console import Console

from everloop.demo.table import print_account

AUC = {"value": 0.7, "low": 0.69, "high": 0.71, "rows": 1000}


def release(name: str, *history: str, drill: bool = False, served: dict[str, float] | None = AUC) -> dict[str, Any]:
    return {
        "release": name,
        "trained_through": "2013-03-19T16:45:00+00:00",
        "drill": drill,
        "auc_at_the_gate": 0.68,
        "served": 18_352,
        "auc_on_what_it_served": served,
        "history": list(history),
    }


REPORT = {
    "releases": [
        release("c330c4f44b365a4d", "registered", "promoted", "retrain_wanted"),
        release("b9d373beee172b1a", "registered", "gate_failed", "forced", "rolled_back", drill=True, served=None),
    ],
    "comparisons": [
        {
            "new": "f7369366fa45cd0d",
            "old": "c330c4f44b365a4d",
            "labelled_rows": 6177,
            "auc_new": AUC,
            "auc_old": None,
            "auc_difference": None,
        }
    ],
    "decisions": [
        {
            "at": "2026-11-26T16:26:35.377545+00:00",
            "action": "gate_failed",
            "subject": "b9d373beee172b1a",
            "actor": "everloop",
            "reason": "cost [per row] " + "is high " * 40,
        }
    ],
}


def printed(width: int) -> list[str]:
    out = io.StringIO()
    print_account(Console(file=out, width=width, highlight=False), REPORT)
    return out.getvalue().splitlines()


def test_a_release_takes_one_line_of_a_terminal_of_80_columns() -> None:
    lines = printed(80)
    (shown,) = [line for line in lines if line.startswith("c330c4f44b365a4d")]
    assert shown.split() == ["c330c4f44b365a4d", "2013-03-19", "0.680", "18,352", "0.700", "±0.010", "promoted"]
    (drill,) = [line for line in lines if line.startswith("b9d373beee172b1a")]
    assert drill.rstrip().endswith("rolled back *")
    (compared,) = [line for line in lines if line.startswith("f7369366fa45cd0d")]
    assert compared.split() == ["f7369366fa45cd0d", "c330c4f44b365a4d", "6,177", "0.700", "-", "-"]


def test_a_decision_takes_one_line_with_the_begin_of_its_reason() -> None:
    (line,) = [line for line in printed(80) if line.startswith("16:26:35")]
    assert line.startswith("16:26:35  gate failed: b9d373beee172b1a by everloop - cost [per row] is high")
    assert line.endswith("...")
    assert len(line) < 240
