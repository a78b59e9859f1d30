"""100 damaged model files in the release store: each must be refused and named, and what runs must go on as if nothing were."""

from __future__ import annotations

import threading
import time
from collections import Counter
from pathlib import Path

import httpx

from benchmarks import world
from benchmarks.record import Record
from benchmarks.serving.departures import bundle, model
from benchmarks.serving.mutations import mutations
from benchmarks.serving.program import Program, first_answer, running
from benchmarks.serving.stage import Stage, answers_by, bodies, state
from everloop.release import MODEL

COUNT = 100
PATIENCE_SECONDS = 15


class Asking(threading.Thread):
    """Asks all the time, and counts what does not come from the release that must go on."""

    def __init__(self, program: Program, release: str) -> None:
        super().__init__(daemon=True)
        self.answers = self.wrong = 0
        self._program, self._right, self._body = program, answers_by(release), bodies()[0]
        self._stop_asking = threading.Event()

    def run(self) -> None:
        with httpx.Client(timeout=PATIENCE_SECONDS) as client:
            while not self._stop_asking.is_set():
                self.wrong += not self._right(self._program.post(client, self._body))
                self.answers += 1

    def finish(self) -> None:
        """Ask no more."""
        self._stop_asking.set()
        self.join()


def main(count: int = COUNT) -> None:
    """One run."""
    record = Record("serve_corrupt", packages=("xgboost",))
    with world.folder() as folder, world.postgres() as server:
        stage = Stage(folder, server.uri("everloop"))
        stage.fill()
        first, second = (stage.publish(bundle(model(seed))) for seed in (1, 2))
        stage.decide(champion=first)
        program = stage.service()
        with running(program, folder / "service.log") as process:
            first_answer(program, process, bodies()[0], answers_by(first))
            asking = Asking(program, first)
            asking.start()
            refused = _damage_all(record, stage, program, second, count)
            asking.finish()
            mended = _mended(stage, program, second, model(2))
    record.fact("answers meanwhile", asking.answers)
    record.fact("the mended release serves", mended)
    record.ratio("damaged releases refused, of all", refused / count, 1, "higher")
    record.ratio("answers meanwhile that were not the running release's", asking.wrong, 0, "lower")
    record.finish()


def _damage_all(record: Record, stage: Stage, program: Program, release: str, count: int) -> int:
    kinds: Counter[str] = Counter()
    words: Counter[str] = Counter()
    for kind, damaged in mutations(model(2), model(1), count):
        _file(stage, release).write_bytes(damaged)
        problem = _refusal(stage, program, release)
        if problem is not None:
            kinds[kind] += 1
            words["names release and SHA-256" if release in problem and "SHA-256" in problem else problem] += 1
    record.fact("refused by kind of damage", dict(kinds))
    record.fact("what the service says of them", dict(words))
    return kinds.total()


def _refusal(stage: Stage, program: Program, release: str) -> str | None:
    """What the service says of the release that the ledger asks for now; `None` when it serves it, or says nothing."""
    seq = stage.decide(champion=release)
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        told = state(program)
        if told["state"]["champion"] == release:
            return None
        if f"row {seq} " in (told["problem"] or ""):
            return str(told["problem"])
        time.sleep(0.01)
    return None


def _mended(stage: Stage, program: Program, release: str, content: bytes) -> bool:
    _file(stage, release).write_bytes(content)
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until and state(program)["state"]["champion"] != release:
        time.sleep(0.1)
    return bool(state(program)["state"]["champion"] == release)


def _file(stage: Stage, release: str) -> Path:
    return stage.folder / "releases" / release / MODEL


if __name__ == "__main__":
    main()
