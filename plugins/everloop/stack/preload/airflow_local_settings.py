"""Airflow imports this in every process; in the scheduler it imports what tasks need, so that forked tasks find it imported.

XGBoost is left out: its OpenMP threads do not survive a fork.
"""

import os
import sys
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
    # `python -m airflow` gets here before it has a main module. Great Expectations imports PySpark where that is installed, and
    # PySpark then believes that it runs doctests, and ends the process.
    vars(sys.modules["__main__"]).setdefault("__file__", __file__)
    for library in LIBRARIES:
        import_module(library)
