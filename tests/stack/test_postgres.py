"""The embedded PostgreSQL: it starts, it comes back after any kind of death, and it needs its password."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg2
import pytest

from conftest import execute, reachable_folder
from everloop.errors import StackError
from everloop.settings import PROJECT
from everloop.stack.ports import free_port
from everloop.stack.postgres import Account, PostgresServer, create_databases, installed


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    with reachable_folder() as folder:
        yield PostgresServer(folder=folder / "postgres", port=free_port(), password="secret")


def rows(uri: str) -> int:
    connection = psycopg2.connect(uri)
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM kept")
        found = cursor.fetchone()
    connection.close()
    assert found is not None
    return int(found[0])


def test_everloop_database_has_the_ledger_and_refuses_to_change_it(everloop_database: str) -> None:
    values = "'flights', 1, now(), '', '', '', '{}', '{}', '', '{}', '', ''"
    execute(everloop_database, f"INSERT INTO ledger VALUES ({values})")
    with pytest.raises(psycopg2.Error, match="append-only"):
        execute(everloop_database, "DELETE FROM ledger")


def test_databases_of_two_tests_are_apart(database: str, everloop_database: str) -> None:
    execute(database, "CREATE TABLE ledger (x int)")
    assert database != everloop_database


def test_committed_rows_survive_kill_9_and_a_wrong_password_is_refused(server: PostgresServer, tmp_path: Path) -> None:
    with server.running(tmp_path / "log") as process:
        execute(server.uri(), "CREATE TABLE kept AS SELECT generate_series(1, 1000)")
        with pytest.raises(psycopg2.OperationalError, match="password"):
            psycopg2.connect(replace(server, password="wrong").uri())
        process.send_signal(signal.SIGKILL)
        process.wait()
    with server.running(tmp_path / "log"):
        assert rows(server.uri()) == 1000


def test_start_clears_the_lock_of_a_dead_server_whose_number_lives_on(server: PostgresServer, tmp_path: Path) -> None:
    with server.running(tmp_path / "log"):
        pass
    arguments = server.popen_arguments()
    other = subprocess.Popen(["sleep", "60"], **arguments)  # after a crash of the machine, somebody else has the number
    try:
        (server.data / "postmaster.pid").write_text(f"{other.pid}\n{server.data}\n")
        with server.running(tmp_path / "log"):
            assert server.answers()
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_start_ends_a_server_that_a_killed_owner_left(server: PostgresServer, tmp_path: Path) -> None:
    with server.running(tmp_path / "log") as left, server.running(tmp_path / "log"):
        assert server.answers()
        assert left.wait(10) == 0


def test_half_made_cluster_is_made_again(server: PostgresServer, tmp_path: Path) -> None:
    (server.folder / "data.partial" / "base").mkdir(parents=True)
    with server.running(tmp_path / "log"):
        assert not (server.folder / "data.partial").exists()
        assert not (server.folder / "password").exists()


def test_lost_password_is_replaced_by_the_new_one(server: PostgresServer, tmp_path: Path) -> None:
    server.prepare()
    with replace(server, password="another").running(tmp_path / "log"):
        assert replace(server, password="another").answers()
        assert not server.answers()


def test_databases_are_created_once(server: PostgresServer, tmp_path: Path) -> None:
    with server.running(tmp_path / "log"):
        create_databases(server.uri(), ["airflow", "mlflow"])
        create_databases(server.uri(), ["mlflow", "airflow"])
        execute(server.uri("airflow"), "SELECT 1")


def test_socket_of_a_long_folder_lies_in_tmp(server: PostgresServer) -> None:
    assert str(replace(server, folder=Path("/" + "x" * 100)).socket).startswith("/tmp/")


def test_server_that_cannot_start_says_why(server: PostgresServer, tmp_path: Path) -> None:
    broken = replace(server, settings={"shared_buffers": "nonsense"})
    with pytest.raises(StackError, match="nonsense"), broken.running(tmp_path / "log"):
        pass


def test_private_folder_above_is_refused_with_the_next_step(server: PostgresServer, tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    nobody = Account(name="nobody", uid=os.getuid() + 1, gid=os.getgid() + 1)
    assert not nobody.reaches(tmp_path / "postgres" / "data")
    if server.account:
        with pytest.raises(StackError, match="EVERLOOP_HOME="):
            replace(server, folder=tmp_path / "postgres").prepare()


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user runs the binaries where they are")
def test_binaries_that_the_account_cannot_reach_are_copied(server: PostgresServer, tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    package = installed().parent
    for folder in (package, package.with_name(f"{package.name}.libs")):
        shutil.copytree(folder, tmp_path / folder.name)
    code = f"""
from pathlib import Path
from everloop.stack.postgres import PostgresServer

server = PostgresServer(folder=Path("{server.folder}"), port={server.port}, password="secret")
with server.running(Path("{tmp_path}/log")):
    print(server.command()[0])
"""
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}:{PROJECT / 'plugins'}"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.stdout.startswith(str(server.folder / "wheel")), done.stderr
