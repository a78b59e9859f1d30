"""What Airflow shows about a graph: the use case, what each task does, where to look next."""

from __future__ import annotations

from everloop.use_case import UseCase


def page(use_case: UseCase, tasks: str) -> str:
    """Markdown for `doc_md`."""
    return (
        f"{use_case.description.strip()}\n\n{tasks.strip()}\n\n"
        f"[The loop's page](/everloop/{use_case.name}) shows who serves, why, and links to MLflow, the scorer and the Data Docs."
    )
