"""One Spark session a process, on the master that the settings name."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING

from everloop.errors import ConfigurationError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_SETTINGS = {
    "spark.app.name": "everloop",
    # The lake's times are UTC; a session elsewhere would shift what it reads.
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    # A cast that fails or a sum that overflows is an error, as in DuckDB, and not a null.
    "spark.sql.ansi.enabled": "true",
    "spark.ui.showConsoleProgress": "false",
}
_MASTERS = ("spark://", "local", "yarn", "k8s://")
_LOCAL = ("local", "spark://127.0.0.1:", "spark://localhost:")


def checked(master: str) -> str:
    """`master`, when Spark could know it; else `ConfigurationError`."""
    if not master.startswith(_MASTERS):
        raise ConfigurationError(
            f'"{master}" is no Spark master: set EVERLOOP_SPARK to one of spark://host:7077, local[2], yarn, k8s://host:443, or '
            "leave it out to compute on this machine"
        )
    return master


def session(master: str) -> SparkSession:
    """The process's session, made on first use. `master`: `spark://host:7077`, `local[2]`, `yarn`, `k8s://...`.

    What belongs to a cluster (memory, packages, keys) is Spark's own `spark-defaults.conf`, found by SPARK_CONF_DIR.
    `ConfigurationError` when PySpark or Java is not installed.
    """
    try:
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise ConfigurationError(f"EVERLOOP_SPARK is {master}, and PySpark is not installed: run `make install-spark`") from error
    if not (os.environ.get("JAVA_HOME") or shutil.which("java")):
        raise ConfigurationError(
            f"EVERLOOP_SPARK is {master}, and there is no Java: install version 17 (on Debian: apt-get install "
            "openjdk-17-jre-headless), or set JAVA_HOME"
        )
    builder = SparkSession.builder.master(master)
    for name, value in _SETTINGS.items():
        builder = builder.config(name, value)
    if master.startswith(_LOCAL):
        builder = builder.config("spark.driver.host", "127.0.0.1").config("spark.driver.bindAddress", "127.0.0.1")
        # PySpark reads nothing else for the workers' Python, and `python3` of the PATH lacks our packages.
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    return builder.getOrCreate()
