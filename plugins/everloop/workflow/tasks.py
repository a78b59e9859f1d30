"""Airflow's task decorators, untyped: their own types do not know that a task's result is passed as an argument."""

from __future__ import annotations

from typing import Any

from airflow.sdk import task as _task

task: Any = _task
