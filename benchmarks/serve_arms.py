"""Two machines' services behind a proxy: every entity gets the same arm on both, through three changes of the weight.

The machines share PostgreSQL and nothing else. nginx (Debian: `apt-get install nginx-light`) spreads requests in turn, and says
by a header which service answered. An answer does not say by which row of the ledger it was given, so whole rounds are compared
after both services report the same row; during a change each entity is watched: on one service it may change arms once, and only
towards the arm that gains.
"""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack

import httpx

from benchmarks import world
from benchmarks.record import Record
from benchmarks.serving.arms import ARMS, Asked, change_of, rounds
from benchmarks.serving.departures import bundle, model
from benchmarks.serving.program import Program, first_answer, running
from benchmarks.serving.proxy import proxy, upstreams
from benchmarks.serving.stage import Stage, answers_by, bodies, state
from everloop.decide.release.evidence import Assigned
from everloop.decide.release.guardrails.split import sample_ratio
from everloop.decide.release.state import Stage as Of

ENTITIES = 100_000
WEIGHTS = (0.1, 0.5, 0.9, 0.3)
ALPHA = 0.001
WATCHED = 200
SETTLED_SECONDS = 60


def main(entities: int = ENTITIES) -> None:
    """One run."""
    record = Record("serve_arms", packages=("xgboost", "uvicorn", "xxhash"))
    with world.folder() as folder, world.postgres() as server, ExitStack() as stack:
        stage = Stage(folder, server.uri("everloop"))
        stage.fill()
        releases = [stage.publish(bundle(model(seed))) for seed in (1, 2)]
        stage.decide(champion=releases[0])
        services = [stage.service(home=f"machine{n}") for n in (1, 2)]
        for service in services:
            process = stack.enter_context(running(service, folder / f"{service.port}.log"))
            first_answer(service, process, bodies()[0], answers_by(releases[0]))
        front = stack.enter_context(proxy([service.port for service in services], folder))
        _rounds(record, stage, services, front, releases, entities)
    record.finish()


def _rounds(record: Record, stage: Stage, services: list[Program], front: int, releases: list[str], entities: int) -> None:
    disagreed, smallest, wrong = 0, 1.0, 0
    for number, weight in enumerate(WEIGHTS):
        seq, watched = _changed(stage, services, front, releases, weight)
        if number:
            skew, back = change_of(watched, WEIGHTS[number - 1] < weight)
            wrong += back
            record.sample("change of weight", seconds_from_first_to_last_entity=skew)
        asked = rounds(front, entities, upstreams(services))
        disagreed += asked.disagreements()
        challenged = asked.count(ARMS[1])
        reason = sample_ratio(Assigned(candidate=challenged, baseline=entities - challenged), weight, ALPHA)
        smallest = min(smallest, float(reason.numbers["p"]))
        record.fact(f"weight {weight:g} (row {seq})", f"{challenged} of {entities} met the challenger, {reason.outcome.value}")
    record.fact("entities asked of both machines, each time", entities)
    record.ratio("entities on which the machines disagree, of all rounds", disagreed, 0, "lower")
    record.ratio("changes of arm back or twice, while the weight changed", wrong, 0, "lower")
    record.ratio("least p of the sample ratio test", smallest, ALPHA, "higher")


def _changed(stage: Stage, services: list[Program], front: int, releases: list[str], weight: float) -> tuple[int, list[Asked]]:
    """Change the weight while entities are watched; returns the row when both services follow it, and what was answered."""
    watching = Watching(front, upstreams(services))
    watching.start()
    time.sleep(0.3)
    champion, challenger = releases
    seq = stage.decide(champion=champion, challenger=challenger, rollout="r1", stage=Of.CANARY, weight=weight)
    until = time.monotonic() + SETTLED_SECONDS
    while not all(state(service)["seq"] == seq for service in services):
        if time.monotonic() > until:
            raise SystemExit(f"a service does not follow row {seq} of the ledger within {SETTLED_SECONDS} s")
        time.sleep(0.02)
    time.sleep(0.3)
    return seq, watching.finish()


class Watching(threading.Thread):
    """Asks for the same few entities, again and again."""

    def __init__(self, front: int, known: tuple[str, ...]) -> None:
        super().__init__(daemon=True)
        self._front, self._known, self._found = front, known, list[Asked]()
        self._end = threading.Event()

    def run(self) -> None:
        with httpx.Client(timeout=20) as client:
            while not self._end.is_set():
                asked = Asked(self._known)
                asked.ask(client, self._front, range(WATCHED))
                self._found.append(asked)

    def finish(self) -> list[Asked]:
        """What was answered, in its order."""
        self._end.set()
        self.join()
        return self._found


if __name__ == "__main__":
    main()
