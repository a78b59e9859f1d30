"""The state folder of the local stack: what lies where, who may read it, and what is remembered between starts."""

from __future__ import annotations

import base64
import fcntl
import getpass
import hashlib
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from everloop.errors import StackError
from everloop.stack.ports import free_port, is_free
from everloop.stack.postgres import account

_OUTSIDE = Path("/var/lib/everloop")
PREFERRED_PORTS = {"postgres": 5442, "airflow": 8080, "mlflow": 5000, "scorer": 8000}


@dataclass(frozen=True)
class Home:
    """The folder and the places in it."""

    path: Path

    @property
    def env_file(self) -> Path:
        """Every variable that the parts run with, to be sourced by a shell."""
        return self.path / "everloop.env"

    @property
    def own_settings(self) -> Path:
        """Variables that people want to stay in force, in the same format; optional, written by hand."""
        return self.path / "settings.env"

    @property
    def status(self) -> Path:
        """What the supervisor says of the parts."""
        return self.path / "status.json"

    @property
    def remembered(self) -> Path:
        """The ports, so that the next start uses the same."""
        return self.path / "remembered.json"

    @property
    def secrets(self) -> Path:
        """Passwords and keys, made at the first start."""
        return self.path / "secrets.json"

    @property
    def lock(self) -> Path:
        """Held by the one supervisor as long as it lives; the operating system lets go of it when it dies."""
        return self.path / "lock"

    def log(self, part: str) -> Path:
        """The log of a part, or of the `supervisor`."""
        return self.path / "logs" / f"{part}.log"

    def logs(self) -> list[str]:
        """The names of the parts that have a log."""
        return sorted(p.stem for p in (self.path / "logs").glob("*.log"))


def make_home(path: Path) -> Home:
    """The state folder, made if need be, private to its owner; `StackError` when it cannot be written."""
    home = Home(path.absolute())
    try:
        for folder in (home.path, home.path / "logs"):
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o700)
        if account():
            home.path.chmod(0o711)  # PostgreSQL's user passes through to its own folder; all else in here is private
        home.lock.touch(mode=0o600)
        home.lock.open("a").close()
    except OSError as error:
        raise StackError(
            f"The state folder {home.path} cannot be written by {getpass.getuser()} ({error.strerror}): "
            "give it to that user, or set EVERLOOP_HOME to another folder"
        ) from error
    return home


class HomeLock:
    """The right to run the stack of a home: at most one process has it."""

    def __init__(self, home: Home) -> None:
        self._file = home.lock.open("a")

    def take(self) -> bool:
        """Take the lock for the life of this object; `False` when somebody has it."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def release(self) -> None:
        """Let go."""
        self._file.close()


def is_held(home: Home) -> bool:
    """Whether a supervisor lives."""
    if not home.lock.exists():
        return False
    lock = HomeLock(home)
    taken = lock.take()
    lock.release()
    return not taken


def write_private(path: Path, text: str) -> None:
    """Replace `path` by `text`, readable by the owner alone, whole or not at all."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    partial.replace(path)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object; empty when the file is absent or, after a crash, has no content."""
    text = path.read_text() if path.exists() else ""
    if not text.strip("\0 \n"):
        return {}
    try:
        found = json.loads(text)
    except ValueError as error:
        raise StackError(f"{path} is not JSON ({error}): delete it, `everloop up` makes a new one") from error
    if not isinstance(found, dict):
        raise StackError(f"{path} holds a {type(found).__name__}, not an object: delete it, `everloop up` makes a new one")
    return found


def read_secrets(home: Home) -> dict[str, str]:
    """Passwords and keys; the missing ones are made and kept."""
    made = {
        "airflow_password": secrets.token_urlsafe(12),
        "database_password": secrets.token_hex(24),
        "api_key": secrets.token_urlsafe(24),
        "jwt_secret": secrets.token_hex(32),
        "session_secret": secrets.token_hex(32),
        "fernet_key": base64.urlsafe_b64encode(os.urandom(32)).decode(),
    }
    kept = read_json(home.secrets)
    if made.keys() - kept.keys():
        kept = made | kept
        write_private(home.secrets, json.dumps(kept, indent=2))
    return kept


def choose_ports(home: Home, preferred: Mapping[str, int] = PREFERRED_PORTS) -> dict[str, int]:
    """A free port for each part: the one of last time, else the preferred one, else any. Chosen ones are remembered."""
    remembered = read_json(home.remembered)
    last: dict[str, int] = remembered.get("ports", {})
    chosen: dict[str, int] = {}
    for part, port in preferred.items():
        wishes = [p for p in (last.get(part), port) if p and p not in chosen.values()]
        chosen[part] = next((p for p in wishes if is_free(p)), 0) or free_port()
    write_private(home.remembered, json.dumps(remembered | {"ports": chosen}, indent=2))
    return chosen


def postgres_folder(home: Home) -> Path:
    """Where the database lies: in the home, or, when we are root and its user cannot get there, under /var/lib."""
    inside = home.path / "postgres"
    owner = account()
    if owner is None or (inside / "data").exists() or owner.reaches(inside):
        return inside
    return _OUTSIDE / hashlib.sha256(str(home.path).encode()).hexdigest()[:12]
