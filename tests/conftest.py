"""Fixtures for everybody: one embedded PostgreSQL per session, one database per test."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import prometheus_client  # noqa: F401  before Feast, which would have this process keep all numbers in files of one folder
import psycopg2
import pytest
from hypothesis import settings

from everloop.stack.home import Home
from everloop.stack.ports import free_port
from everloop.stack.postgres import PostgresServer, account, create_databases
from running_stack import command

settings.register_profile("everloop", deadline=None)  # a loaded machine is slow, not wrong
settings.load_profile("everloop")

SPEED = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "shared_buffers": "64MB", "jit": "off"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests on the shared stack come last, so that it does not run beside all others; those that kill its parts at the end."""
    items.sort(key=lambda item: item.get_closest_marker("stack") is not None)


@contextlib.contextmanager
def reachable_folder() -> Iterator[Path]:
    """A temporary folder that PostgreSQL's user can reach also when the tests run as root (`tmp_path` is private to root)."""
    folder = Path(tempfile.mkdtemp(prefix="everloop-", dir="/tmp"))
    owner = account()
    if owner:
        os.chown(folder, owner.uid, owner.gid)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def execute(uri: str, statement: str) -> None:
    with contextlib.closing(psycopg2.connect(uri)) as connection:
        connection.autocommit = True
        connection.cursor().execute(statement)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """The session's server, without durability, in a folder that goes away."""
    with reachable_folder() as folder:
        server = PostgresServer(folder=folder / "postgres", port=free_port(), password=uuid.uuid4().hex, settings=SPEED)
        with server.running(folder / "log"):
            yield server


@pytest.fixture(scope="session")
def _everloop_template(postgres_server: PostgresServer) -> str:
    """A database with the schema, to copy for each test."""
    create_databases(postgres_server.uri(), ["everloop_template"])
    execute(postgres_server.uri("everloop_template"), files("everloop.adapters").joinpath("schema.sql").read_text())
    return "everloop_template"


@contextlib.contextmanager
def fresh_database(server: PostgresServer, template: str) -> Iterator[str]:
    """The libpq URI of a new database that is dropped at exit."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    execute(server.uri(), f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
    try:
        yield server.uri(name)
    finally:
        execute(server.uri(), f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def database(postgres_server: PostgresServer) -> Iterator[str]:
    """The libpq URI of a fresh, empty PostgreSQL database."""
    with fresh_database(postgres_server, "template1") as uri:
        yield uri


@pytest.fixture
def everloop_database(postgres_server: PostgresServer, _everloop_template: str) -> Iterator[str]:
    """The libpq URI of a fresh database with `adapters/schema.sql` applied."""
    with fresh_database(postgres_server, _everloop_template) as uri:
        yield uri


@pytest.fixture(scope="session")
def shared_home() -> Iterator[Home]:
    """The state folder of the one stack that all tests share which need all of its parts; each sees to it that it is up."""
    with reachable_folder() as folder:
        home = Home(folder / "home")
        yield home
        command(home, "down")
