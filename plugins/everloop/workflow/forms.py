"""The fields of Airflow's trigger form."""

from __future__ import annotations

from airflow.sdk import Param


def moment(description: str) -> Param:
    """An optional date and time."""
    return Param(None, type=["null", "string"], format="date-time", description_md=description)


def words(description: str) -> Param:
    """An optional text."""
    return Param(None, type=["null", "string"], description_md=description)


def switch(description: str) -> Param:
    """Off unless somebody turns it on."""
    return Param(False, type="boolean", description_md=description)
