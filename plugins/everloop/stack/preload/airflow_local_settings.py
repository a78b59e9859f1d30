"""Airflow imports this in every process; in the scheduler it imports what tasks need, so that forked tasks find it imported.

XGBoost is left out: its OpenMP threads do not survive a fork.
"""

import os
from importlib import import_module

__all__: list[str] = []

LIBRARIES = (
    "pandas",
    "pyarrow.dataset",
    "deltalake",
    "duckdb",
    "psycopg2",
    "psycopg",
    "boto3",
    "feast",
    "great_expectations",
    "mlflow",
)

if os.environ.pop("EVERLOOP_PRELOAD", None) == "1":
    for library in LIBRARIES:
        import_module(library)
