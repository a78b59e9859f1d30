"""S3 over HTTP, by moto's server in a process of its own (delta-rs holds the interpreter's lock while it waits for an answer)."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from urllib.request import urlopen

import pytest

SERVER = """
import time
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print("%s:%s" % server.get_host_and_port(), flush=True)
time.sleep(3600)
"""


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The endpoint of an empty S3."""
    process = subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None
        endpoint = f"http://{process.stdout.readline().strip()}"
        for _ in range(50):
            try:
                urlopen(f"{endpoint}/moto-api/", timeout=1)
                break
            except OSError:
                time.sleep(0.1)
        yield endpoint
    finally:
        process.kill()
        process.wait()


def make_bucket(endpoint: str, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the credentials that any client reads from the environment, and make an empty bucket."""
    import boto3

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, "us-east-1")
    boto3.client("s3", endpoint_url=endpoint).create_bucket(Bucket=bucket)
