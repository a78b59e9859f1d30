"""A DAG as a small readable value, for golden files."""

from __future__ import annotations

from typing import Any


def shape(dag: Any) -> dict[str, Any]:
    """Schedule, parameters, tasks and edges of `dag`."""
    return {
        "schedule": schedule(dag.timetable),
        "from": dag.start_date and dag.start_date.isoformat(),
        "until": dag.end_date and dag.end_date.isoformat(),
        "catchup": dag.catchup,
        "max_active_runs": dag.max_active_runs,
        "params": {name: dag.params[name] for name in dag.params},
        "tasks": [task_shape(task) for task in dag.topological_sort()],
        "edges": [f"{task.task_id} -> {other}" for task in dag.topological_sort() for other in sorted(task.downstream_task_ids)],
    }


def schedule(timetable: Any) -> Any:
    """Cron text, asset names, or both."""
    found: dict[str, Any] = {}
    if condition := getattr(timetable, "asset_condition", None):
        assets = getattr(condition, "objects", [condition])
        found["assets"] = sorted(asset.name for asset in assets)
        found["watchers"] = sorted(watcher.name for asset in assets for watcher in asset.watchers)
    inner = getattr(timetable, "timetable", timetable)
    if cron := getattr(inner, "expression", None):
        found["cron"] = f"{cron} ({type(inner).__name__})"
    return found


def task_shape(task: Any) -> dict[str, Any]:
    """What of a task matters to an operator."""
    kind = getattr(task, "custom_operator_name", None) or type(task).__name__
    found = {
        "id": task.task_id,
        "kind": "@task, mapped" if task.is_mapped else kind,
        "retries": task.retries,
        "pool": task.pool,
        "outlets": [outlet.name for outlet in task.outlets] if not task.is_mapped else [],
    }
    if hasattr(task, "mode") and hasattr(task, "poke_interval"):
        found["waits"] = f"{task.mode} every {task.poke_interval:g} s"
    return found
