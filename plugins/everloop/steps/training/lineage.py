"""Which code and which libraries made a release."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import packages_distributions, version

from everloop.learn.device import has_cupy
from everloop.release import sha256
from everloop.settings import PROJECT

LINEAGE = "lineage.json"
LIBRARIES = ("numpy", "pyarrow", "scikit-learn", "xgboost")


def lineage() -> dict[str, str]:
    """`git_commit`, `lock_hash` (SHA-256 of requirements.txt), `python` and the version of each library that shapes a model."""
    lock = PROJECT / "requirements.txt"
    return {
        "git_commit": os.environ.get("EVERLOOP_GIT_COMMIT") or _commit(),
        "lock_hash": sha256(lock.read_bytes()) if lock.exists() else "unknown",
        "python": platform.python_version(),
        **{name: version(name) for name in (*LIBRARIES, *_gpu_libraries())},
    }


def _gpu_libraries() -> list[str]:
    """CuPy by the name of its package, of which there is one for each CUDA; nothing where it is not installed."""
    return sorted(set(packages_distributions().get("cupy", ()))) if has_cupy() else []


def _commit() -> str:
    """The checkout's commit, with `-dirty` when its files differ from it; `unknown` outside a checkout."""
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            cwd=PROJECT,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()
