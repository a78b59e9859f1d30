"""The databases' schemas: made at the first start, migrated after an upgrade, left alone when they are current."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from importlib.metadata import version

from everloop.adapters.database import migrate
from everloop.errors import StackError
from everloop.stack.home import Home, write_private
from everloop.stack.postgres import create_databases


def migrate_everloop(variables: Mapping[str, str], embedded: Mapping[str, str]) -> None:
    """Make the `embedded` databases (name to libpq URI) that are missing, then apply our own schema."""
    if embedded:
        create_databases(next(iter(embedded.values())).rpartition("/")[0] + "/postgres", embedded)
    migrate(variables["EVERLOOP_DATABASE"])


def migrate_airflow(home: Home, environment: Mapping[str, str]) -> None:
    """Bring Airflow's metadata database to the installed version; write the log-in of the simple auth manager."""
    folder = home.path / "airflow"
    folder.mkdir(mode=0o700, exist_ok=True)
    login = {environment["EVERLOOP_AIRFLOW_USER"]: environment["EVERLOOP_AIRFLOW_PASSWORD"]}
    write_private(folder / "passwords.json", json.dumps(login))
    uri = environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
    command = (sys.executable, "-m", "everloop.stack.airflow_schema")
    _migrate_when_stale(home, "airflow", version("apache-airflow"), uri, command, environment)


def migrate_mlflow(home: Home, environment: Mapping[str, str]) -> None:
    """Bring MLflow's database to the installed version, before several processes try to at once."""
    uri = environment["MLFLOW_BACKEND_STORE_URI"]
    command = (sys.executable, "-m", "everloop.stack.mlflow_schema")
    _migrate_when_stale(home, "mlflow", version("mlflow"), uri, command, environment)


def _migrate_when_stale(
    home: Home, name: str, installed: str, uri: str, command: tuple[str, ...], environment: Mapping[str, str]
) -> None:
    """Run `command` unless `name`'s database stands where the same installed version once left it (saves 5 to 10 CPU seconds)."""
    stamp = home.path / f"{name}.schema"
    if stamp.exists() and stamp.read_text() == f"{installed} {_revision(uri)}":
        return
    with home.log(f"{name}-schema").open("ab") as out:
        done = subprocess.run(command, env=dict(environment), stdout=out, stderr=out, stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise StackError(f"The migration of {name}'s database failed ({done.returncode}): see {home.log(f'{name}-schema')}")
    write_private(stamp, f"{installed} {_revision(uri)}")


def _revision(uri: str) -> str | None:
    """The Alembic revision of a PostgreSQL database, `None` when it has none or is not PostgreSQL."""
    import psycopg2

    scheme, _, rest = uri.partition("://")
    if scheme.partition("+")[0] != "postgresql":
        return None
    with closing(psycopg2.connect(f"postgresql://{rest}", connect_timeout=10)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('alembic_version')")
        if cursor.fetchone() == (None,):
            return None
        cursor.execute("SELECT string_agg(version_num, ' ') FROM alembic_version")
        row = cursor.fetchone()
        return row[0] if row else None
