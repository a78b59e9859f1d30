"""The model card: what a reviewer reads before saying yes, as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from everloop.release import Bundle, Manifest

SHOWN = 10
"""Inputs listed by importance, and values listed of each slice."""

Slices = Mapping[str, Mapping[str, Mapping[str, float]]]


def card(
    bundle: Bundle, description: str, importance: Mapping[str, float], slices: Slices, behaviour: Mapping[str, Any] | None = None
) -> str:
    """Model card after Mitchell et al. (2019), Model cards for model reporting: use, data, measures, groups, limits.

    `behaviour`: the gate's `Behaviour` as JSON.
    """
    manifest = bundle.manifest
    sections = [
        f"# {manifest.use_case}, release {bundle.id}\n\n{description.strip()}",
        _training(manifest),
        "## Measures on the held-out rows\n\n" + _table(("measure", "value"), sorted(manifest.metrics.items())),
        "## What moves the score\n\nMean absolute SHAP contribution, log-odds.\n\n"
        + _table(("input", "contribution"), list(importance.items())[:SHOWN]),
        *(_slice(name, values) for name, values in slices.items()),
        *([_behaviour(behaviour)] if behaviour else []),
        "## Lineage\n\n" + _table(("what", "value"), sorted(manifest.lineage.items())),
    ]
    return "\n\n".join(sections) + "\n"


def _training(manifest: Manifest) -> str:
    drill = "**This is a fire drill: the labels it learnt from were shuffled. It must not serve.**\n\n"
    rows = [
        ("labels learnt from", f"{manifest.trained_from:%Y-%m-%d %H:%M} to {manifest.trained_through:%Y-%m-%d %H:%M} UTC"),
        ("decision threshold", manifest.threshold),
        ("inputs", len(manifest.columns)),
        *((f"parameter `{name}`", value) for name, value in sorted(manifest.parameters.items())),
        *((f"table `{name}`", f"version {version}") for name, version in sorted(manifest.snapshot.items())),
    ]
    return "## Training\n\n" + (drill if manifest.lineage.get("drill") == "true" else "") + _table(("what", "value"), rows)


def _slice(name: str, values: Mapping[str, Mapping[str, float]]) -> str:
    largest = sorted(values.items(), key=lambda item: -item[1]["rows"])[:SHOWN]
    measures = ("rows", "label_rate", "auc", "ece", "cost")
    rows = [(value, *(found.get(measure, "") for measure in measures)) for value, found in largest]
    return f"## By {name}\n\n" + _table((name, *measures), rows)


def _behaviour(found: Mapping[str, Any]) -> str:
    tests = [
        (name, one["broken"]["trials"], f"{_cell(one['broken']['hits'])} ({one['worst']:.3f})")
        for name, one in found["tests"].items()
    ]
    disturbed = {"noise": found["noise"], **{f"without {view}": one for view, one in found["absent"].items()}}
    rows = [
        (name, one["changed"]["hits"] / max(1, one["changed"]["trials"]), one["cost"]["value"], one["undisturbed"])
        for name, one in disturbed.items()
        if one["cost"]
    ]
    return (
        "## When inputs are changed\n\n"
        + _table(("disturbed", "share of decisions that change", "cost per row rises by", "from"), rows)
        + ("\n\n" + _table(("must hold", "rows", "broken by (worst)"), tests) if tests else "")
    )


def _table(head: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.0f}" if value.is_integer() and abs(value) >= 1 else f"{value:.4g}"
    return str(value).replace("|", "\\|").replace("\n", " ")
