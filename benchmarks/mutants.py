"""Mutation testing of `everloop.decide`: how many small changes of each file its own tests notice.

`make mutants` takes all files, `make mutants FILES="verdict watch/retrain"` some. mutmut's settings are in pyproject.toml; each
file is mutated by itself, in a copy, and must be killed by the tests at its own path (`tests/decide/watch/test_retrain.py`,
`test_retrain_*.py`), which is stricter than by any test, and a hundred times faster.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.process import ROOT
from benchmarks.record import RESULTS, machine
from everloop.release import sha256

DECIDE = ROOT / "plugins" / "everloop" / "decide"
TESTS = ROOT / "tests"
EXPLAINED = Path(__file__).parent / "mutants_explained.toml"
TARGET = 0.9
"""The share of a file's mutants that its tests must kill."""

CONFTEST = """
import json
from pathlib import Path

from hypothesis import settings

settings.register_profile("mutants", deadline=None, database=None)
settings.load_profile("mutants")

STATS = Path(__file__).parents[1] / "mutmut-stats.json"


def pytest_collection_modifyitems(items):
    seconds = json.loads(STATS.read_text())["duration_by_test"] if STATS.exists() else {}
    items.sort(key=lambda item: seconds.get(item.nodeid, 0.0))
"""
"""A mutant must be killed by what it does, not by a slow moment of the machine, nor by examples of another one. Most are killed
by a fast test, so the fast ones come first."""

MUTMUT = "from mutmut.__main__ import cli; cli()"
SURVIVED, NO_TESTS, SKIPPED, TIMED_OUT = {0}, {5, 33}, {34}, {24, 36, 152, -24, 255}
"""mutmut's exit codes by mutant (`mutmut.stats.status_by_exit_code`); every other one is a kill."""


def main(names: Sequence[str]) -> int:
    """Take the files of these names, or all; renew their entries in the result. 1 when one of them is below the target."""
    told = _earlier()
    chosen = list(files(names))
    for file in chosen:
        name = str(file.relative_to(DECIDE))
        told["files"][name] = measure(file)
        told |= {"date": _now(), "machine": machine(), "versions": {"mutmut": version("mutmut")}}
        told["files"] = explained(told["files"])
        (RESULTS / "mutants.json").write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n")
        found = told["files"][name]
        print(f"{name}: {found['killed']} of {found['mutants']} killed in {found['seconds']:.0f} s")
        for mutant in found["survivors"]:
            print(f"  {mutant['function']}: {mutant['now']}  # {mutant.get('explained') or 'NOT EXPLAINED'}")
    return int(any(told["files"][str(file.relative_to(DECIDE))]["share"] < TARGET for file in chosen))


def files(names: Sequence[str]) -> Iterator[Path]:
    """The files of `decide` that hold something to mutate; `names` are paths below it, with or without `.py`, or folders."""
    wanted = [name.removesuffix(".py") for name in names]
    known = [file for file in sorted(DECIDE.rglob("*.py")) if file.name != "__init__.py"]
    for name in wanted:
        if not any(_named(file, name) for file in known):
            raise SystemExit(f"{name} is no file or folder below {DECIDE}: name one, for instance verdict or watch/retrain")
    yield from (file for file in known if not wanted or any(_named(file, name) for name in wanted))


def measure(file: Path) -> dict[str, Any]:
    """Mutate one file and run its tests on each mutant: counts, seconds, every survivor with its explanation if it has one."""
    began, digest = time.monotonic(), sha256(file.read_bytes())
    with tempfile.TemporaryDirectory(prefix="everloop-mutants-") as folder:
        work = Path(folder)
        tests = lay_out(work, file)
        _mutmut(work, "run", "--max-children", str(os.cpu_count() or 1))
        relative = file.relative_to(DECIDE.parent.parent)
        meta = json.loads((work / "mutants" / "src" / f"{relative}.meta").read_text())
        codes: dict[str, int] = {name: code for name, code in meta["exit_code_by_key"].items() if code not in SKIPPED}
        if None in codes.values():
            raise SystemExit(f"{relative}: mutmut left mutants unchecked: run it again")
        survivors = [_survivor(work, name) for name, code in codes.items() if code in SURVIVED | NO_TESTS]
    counts = Counter("survived" if code in SURVIVED | NO_TESTS else "killed" for code in codes.values())
    return {
        "sha256": digest,
        "tests": tests,
        "mutants": len(codes),
        "killed": counts["killed"],
        "timed_out": sum(code in TIMED_OUT for code in codes.values()),
        "survived": counts["survived"],
        "share": round(counts["killed"] / len(codes), 4) if codes else 1.0,
        "seconds": round(time.monotonic() - began, 1),
        "survivors": survivors,
    }


def lay_out(work: Path, file: Path) -> list[str]:
    """A copy of the code, of the tests and of mutmut's settings, for this file alone; the tests that must kill its mutants."""
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(DECIDE.parent, work / "src" / "everloop", ignore=ignore)
    for name in ("decide", "fakes"):
        shutil.copytree(TESTS / name, work / "tests" / name, ignore=ignore)
    (work / "tests" / "conftest.py").write_text(CONFTEST)
    tests = own_tests(file)
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mutmut"]
    settings |= {
        "only_mutate": [f"src/{file.relative_to(DECIDE.parent.parent)}"],
        "pytest_add_cli_args_test_selection": tests,
    }
    (work / "pyproject.toml").write_text(_toml(settings))
    return tests


def own_tests(file: Path) -> list[str]:
    """The tests at the path of `file`: `tests/decide/<path>/test_<name>.py` and `test_<name>_*.py`; else all of its folder."""
    folder = TESTS / "decide" / file.parent.relative_to(DECIDE)
    own = [*folder.glob(f"test_{file.stem}.py"), *sorted(folder.glob(f"test_{file.stem}_*.py"))]
    found = own or sorted(folder.glob("test_*.py"))
    if not found:
        raise SystemExit(
            f"{file.relative_to(ROOT)} has no tests at {folder.relative_to(ROOT)}/test_{file.stem}.py: write them first"
        )
    return [str(test.relative_to(ROOT)) for test in found]


def explained(found: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """What was found by file, in order, each survivor with the explanation that `mutants_explained.toml` has of it now."""
    rows = tomllib.loads(EXPLAINED.read_text()).get("mutant", [])
    whys = {(row["file"], row["function"], row["now"]): row["why"] for row in rows}
    told = {}
    for name, one in sorted(found.items()):
        plain = [{part: survivor[part] for part in ("function", "was", "now")} for survivor in one["survivors"]]
        keys = [(name, survivor["function"], survivor["now"]) for survivor in plain]
        survivors = [
            survivor | ({"explained": whys[key]} if key in whys else {}) for survivor, key in zip(plain, keys, strict=True)
        ]
        told[name] = one | {"explained": sum(key in whys for key in keys), "survivors": survivors}
    return told


def _survivor(work: Path, mutant: str) -> dict[str, str]:
    lines = _mutmut(work, "show", mutant).splitlines()
    was, now = (" ".join(line[1:].strip() for line in lines if line.startswith(sign) and line[:3] != sign * 3) for sign in "-+")
    function = mutant.rpartition(".")[2].partition("__mutmut_")[0].removeprefix("x").strip("_").replace("ǁ", ".").strip(".")
    return {"function": function, "was": was, "now": now}


def _mutmut(work: Path, *words: str) -> str:
    done = subprocess.run([sys.executable, "-c", MUTMUT, *words], cwd=work, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"mutmut {' '.join(words)} ended with {done.returncode}:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    return done.stdout


def _toml(settings: Mapping[str, Any]) -> str:
    # JSON's text, numbers, booleans and lists of text are TOML's too.
    mutmut = "\n".join(f"{name} = {json.dumps(value)}" for name, value in settings.items())
    pytest = 'pythonpath = ["tests"]\naddopts = ["--import-mode=importlib"]'
    return f"[tool.mutmut]\n{mutmut}\n\n[tool.pytest.ini_options]\n{pytest}\n"


def _named(file: Path, name: str) -> bool:
    path = file.relative_to(DECIDE).with_suffix("")
    return str(path) == name or str(path).startswith(f"{name}/")


def _earlier() -> dict[str, Any]:
    path = RESULTS / "mutants.json"
    told: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {"name": "mutants", "files": {}}
    present = {str(file.relative_to(DECIDE)) for file in DECIDE.rglob("*.py")}
    told["files"] = {name: found for name, found in told["files"].items() if name in present}
    return told


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
