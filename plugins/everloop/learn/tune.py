"""Search for the parameters to train with, on a short budget: `python -m everloop.learn.tune <folder>`."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import msgspec

from everloop.decide.policy import Overrides
from everloop.learn.device import Machine
from everloop.learn.fit import Length, fit, parameters
from everloop.learn.job import TUNED, Tuned, put, take
from everloop.learn.matrices import matrices
from everloop.learn.search import Listen, search
from everloop.learn.train import bins, encoder_of


def tune(folder: Path) -> Tuned:
    """The winner of the policy's candidates and search, each fitted for `tuning_rounds` on the same rows of `folder`."""
    job, examples = take(folder)
    policy, encoder, machine = job.policy, encoder_of(examples, job), Machine.here(job.threads)
    made = matrices(examples, encoder, machine, bins=bins(parameters(policy, {})), external=job.external)
    length = replace(Length.of(policy), rounds=policy.tuning_rounds)

    def attempt(overrides: Overrides, listen: Listen) -> None:
        fit(made, parameters(policy, overrides), length, machine, told=listen)

    return search(policy, attempt)


def main(folder: Path) -> None:
    """Do the job in `folder`, leave `tuned.json` there."""
    put(folder, TUNED, msgspec.json.encode(tune(folder)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
