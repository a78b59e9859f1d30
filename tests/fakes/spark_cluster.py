"""A standalone Spark cluster on this machine: a master and two workers, from PySpark's own jars."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from urllib.request import urlopen

import pytest

from everloop.stack.ports import free_port

MODULES = ("java.lang", "java.nio", "java.util", "sun.nio.ch")


@pytest.fixture(scope="session")
def spark_master(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The cluster's `spark://` address."""
    if not shutil.which("java"):
        pytest.skip("Spark needs Java 17 (on Debian: openjdk-17-jre-headless)")
    with cluster(tmp_path_factory.mktemp("spark")) as master:
        yield master


@contextlib.contextmanager
def cluster(folder: Path, workers: int = 2, memory: str = "1g") -> Iterator[str]:
    """A master and `workers` workers of one core each, gone at exit."""
    port, web = free_port(), free_port()
    master = f"spark://127.0.0.1:{port}"
    processes = [_start(folder, "master.Master", "--port", str(port), "--webui-port", str(web))]
    try:
        for n in range(workers):
            place = ("--webui-port", "0", "--cores", "1", "--memory", memory, "--work-dir", str(folder / f"worker-{n}"), master)
            processes.append(_start(folder, "worker.Worker", *place))
        _wait(f"http://127.0.0.1:{web}/json/", workers)
        yield master
    finally:
        for process in reversed(processes):
            process.kill()
            process.wait()


def _start(folder: Path, name: str, *arguments: str) -> subprocess.Popen[bytes]:
    spec = find_spec("pyspark")
    assert spec is not None
    assert spec.origin is not None
    home = Path(spec.origin).parent
    opened = [f"--add-opens=java.base/{module}=ALL-UNNAMED" for module in MODULES]
    command = ["java", *opened, "-Xmx256m", "-cp", f"{home}/jars/*", f"org.apache.spark.deploy.{name}", "--host", "127.0.0.1"]
    environment = {**os.environ, "SPARK_HOME": str(home), "SPARK_SCALA_VERSION": "2.13", "SPARK_LOCAL_IP": "127.0.0.1"}
    with (folder / f"{name}.log").open("ab") as log:
        return subprocess.Popen([*command, *arguments], env=environment, cwd=folder, stdout=log, stderr=log)


def _wait(address: str, workers: int, seconds: float = 120) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with contextlib.suppress(OSError), urlopen(address, timeout=2) as answer:
            if answer.read().count(b'"state" : "ALIVE"') >= workers:
                return
        time.sleep(0.2)
    raise TimeoutError(f"{address}: {workers} workers did not come within {seconds} s")
