"""An Airflow log-in for the page: the real permissions, a user that the test chooses."""

from __future__ import annotations

import os

import airflow_home  # noqa: F401

# No MLflow runs here: what the page does about that must not take the tests long.
os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
